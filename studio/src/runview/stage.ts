/** The 3D view's picture: the scene at a frame, seen by the shot's camera or freely. */

import { ColorManagement, LinearSRGBColorSpace, Matrix4, Scene, Sphere, type Texture, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { poseAt, zoomAt } from "../motion.ts";
import { Actors } from "../viewport/actors.ts";
import { Backdrop, DIMMED } from "../viewport/backdrop.ts";
import { isIdentity, LensCamera } from "../viewport/cameras.ts";
import { lensIn, letterbox, type Size } from "../viewport/lens.ts";
import type { View } from "../viewport/materials.ts";
import type { SceneView } from "./data.ts";
import { loadPicture, movedVertices, unpackShapes } from "./unpack.ts";

ColorManagement.enabled = false;

const EMPTY = new Sphere(new Vector3(), 1);
const PLAIN = 0x0e1014;

export class RunStage {
  view: View = "textured";
  /** Seen by the shot's camera, else freely. */
  through = true;
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly actors = new Actors(() => this.redraw());
  private readonly backdrop = new Backdrop();
  private readonly shotCamera = new LensCamera();
  private readonly freeCamera = new LensCamera();
  private readonly orbit: OrbitControls;
  private photo: Texture | null = null;
  private emptied: Texture | null = null;
  private dirty = true;
  private drawn = -1;

  /** @throws where the browser has no WebGL. */
  constructor(private readonly canvas: HTMLCanvasElement, private readonly given: SceneView) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true });
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    this.renderer.setClearColor(PLAIN, 1);
    this.orbit = new OrbitControls(this.freeCamera, canvas);
    this.orbit.enableDamping = false;
    this.orbit.addEventListener("change", () => this.redraw());
    this.scene.add(this.backdrop.mesh, this.actors.root);
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** Puts up the scene; `photo` is the address of what is behind it. */
  async load(photo: string | null): Promise<void> {
    const { scene, motion, shapes } = this.given;
    this.actors.stand(await unpackShapes(shapes));
    this.actors.play(motion, scene);
    for (const [name, shape] of Object.entries(shapes)) {
      const moved = movedVertices(shape, motion.frames);
      if (moved) this.actors.deform(name, moved);
    }
    const behind = this.given.emptied;
    [this.photo, this.emptied] = await Promise.all([photo ? loadPicture(photo) : null, behind ? loadPicture(behind) : null]);
    this.actors.at(0);
    this.overlook();
    this.redraw();
  }

  redraw(): void {
    this.dirty = true;
  }

  /** Draws a frame, if it is not what is drawn. */
  show(frame: number): void {
    if (!this.dirty && frame === this.drawn) return;
    this.dirty = false;
    this.drawn = frame;
    const { scene, motion } = this.given;
    const density = Math.min(window.devicePixelRatio || 1, 2);
    const size = { width: Math.max(this.canvas.clientWidth, 1), height: Math.max(this.canvas.clientHeight, 1) };
    this.renderer.setPixelRatio(density);
    this.renderer.setSize(size.width, size.height, false);
    this.actors.at(frame);
    const spheres = this.actors.spheres();
    const around = spheres.length ? spheres : [EMPTY];
    const box = letterbox(scene.intrinsics, size, 0);
    this.shotCamera.place(new Matrix4().fromArray(poseAt(motion, "", frame) as number[]));
    this.shotCamera.look(lensIn(scene.intrinsics, zoomAt(motion, frame), box, size), around);
    this.freeCamera.look(lensIn(scene.intrinsics, 1, box, size), around);
    const camera = this.through ? this.shotCamera : this.freeCamera;
    this.orbit.enabled = !this.through;
    this.actors.look(this.view, camera.matrixWorldInverse);
    this.backdrop.mesh.visible = this.photo !== null && (this.view === "textured" || this.view === "shaded");
    this.layPhoto(camera, this.through ? zoomAt(motion, frame) : 1, size, density);
    this.renderer.render(this.scene, camera);
  }

  private layPhoto(camera: LensCamera, zoom: number, size: Size, density: number): void {
    const { scene } = this.given;
    const pixels = { width: size.width * density, height: size.height * density };
    const lens = lensIn(scene.intrinsics, zoom, letterbox(scene.intrinsics, pixels, 0), pixels);
    const photoFromCamera = new Matrix4().fromArray(scene.photoWorldFromCamera).invert().multiply(camera.matrixWorld);
    const behind = isIdentity(photoFromCamera) && this.actors.asInPhoto ? this.photo : this.emptied;
    if (behind) this.backdrop.show(behind);
    this.backdrop.seen(photoFromCamera, lens, behind ? 1 : DIMMED);
  }

  /** Puts the backdrop where the objects end, and the free camera beside the photo's. */
  private overlook(): void {
    const { scene } = this.given;
    const pose = new Matrix4().fromArray(scene.photoWorldFromCamera);
    const eye = new Vector3().setFromMatrixPosition(pose);
    const forward = new Vector3(-(pose.elements[8] ?? 0), 0, -(pose.elements[10] ?? 0));
    if (forward.length() < 1e-3) forward.set(0, 0, -1);
    forward.normalize();
    const farthest = Math.max(1e-3, ...this.actors.spheres().map((one) => one.center.clone().sub(eye).dot(forward) + one.radius));
    if (this.photo) this.backdrop.stand(this.photo, scene, farthest);
    const middle = this.actors.bounds().getCenter(new Vector3());
    const right = new Vector3().crossVectors(forward, new Vector3(0, 1, 0));
    this.freeCamera.position.copy(eye).addScaledVector(right, 0.35 * middle.distanceTo(eye));
    this.orbit.target.copy(middle);
    this.orbit.update();
  }
}
