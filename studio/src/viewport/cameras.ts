/** The viewport's cameras: both have the photo's lens, one is where the shot's camera is and one goes where a person likes. */

import { Matrix4, PerspectiveCamera, type Sphere, Vector3 } from "three";
import type { Intrinsics } from "../types.ts";
import { depthRange, projection } from "./lens.ts";

/** A camera with intrinsics in place of a field of view. */
export class LensCamera extends PerspectiveCamera {
  lens: Intrinsics | null = null;

  /** Sets the lens, in pixels of the canvas, and the planes that hold `spheres` (in the world). */
  look(lens: Intrinsics, spheres: readonly Sphere[]): void {
    this.lens = lens;
    this.updateMatrixWorld();
    const eye = new Vector3();
    const ranges = spheres.map((sphere) => ({
      depth: -eye.copy(sphere.center).applyMatrix4(this.matrixWorldInverse).z,
      radius: sphere.radius,
    }));
    [this.near, this.far] = depthRange(ranges);
    // Controls and gizmos size themselves by the field of view.
    this.fov = (Math.atan(lens.height / 2 / lens.fy) * 360) / Math.PI;
    this.aspect = lens.width / lens.height;
    this.updateProjectionMatrix();
  }

  override updateProjectionMatrix(): void {
    if (!this.lens) return;
    this.projectionMatrix.fromArray(projection(this.lens, this.near, this.far));
    this.projectionMatrixInverse.copy(this.projectionMatrix).invert();
  }

  place(worldFromCamera: Matrix4): void {
    worldFromCamera.decompose(this.position, this.quaternion, this.scale);
    this.updateMatrixWorld();
  }
}

export function isIdentity(pose: Matrix4): boolean {
  const still = new Matrix4().elements;
  return pose.elements.every((value, index) => Math.abs(value - (still[index] as number)) < 1e-5);
}
