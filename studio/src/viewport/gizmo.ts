/** The handles on what is selected, and dragging an object along the ground by its body. */

import { type Camera, Matrix4, Object3D, Plane, type Ray, Vector3 } from "three";
import { TransformControls } from "three/examples/jsm/controls/TransformControls.js";
import { ctrlHeld, slide, snapping, space, steps, type Tool, tool } from "./options.ts";

export interface GizmoEvents {
  /** The dragged thing is at this pose now. */
  moved: (target: string, pose: Matrix4) => void;
  /** It was let go there; null where the person gave up. */
  ended: (target: string, pose: Matrix4 | null, tool: Tool) => void;
}

const MODES = { move: "translate", turn: "rotate", scale: "scale" } as const;

export const snaps = (): boolean => snapping.value !== ctrlHeld.value;

export class Gizmo {
  readonly controls: TransformControls;
  readonly proxy = new Object3D();
  target: string | null = null;
  private start = new Matrix4();
  private cancelled = false;
  private sliding: { plane: Plane; from: Vector3; start: Matrix4 } | null = null;

  constructor(camera: Camera, canvas: HTMLElement, private readonly events: GizmoEvents) {
    this.controls = new TransformControls(camera, canvas);
    this.controls.size = 0.85;
    this.controls.setColors(0xe2645f, 0x84c45c, 0x5f97ea, 0xf5cd5c);
    this.controls.addEventListener("dragging-changed", (event) => (event.value ? this.begin() : this.end()));
    this.controls.addEventListener("objectChange", () => this.report());
  }

  /** True while something is dragged, by a handle or by its body. */
  get dragging(): boolean {
    return this.controls.dragging || this.sliding !== null;
  }

  /** True while the pointer is over a handle. */
  get hovered(): boolean {
    return this.target !== null && this.controls.axis !== null;
  }

  /** Puts the handles on an entity or the camera (""), or takes them away. */
  attach(target: string | null, pose: Matrix4 | null, camera: Camera): void {
    if (this.dragging) return;
    this.controls.camera = camera;
    this.target = pose ? target : null;
    if (!pose || target === null) {
      this.controls.detach();
      return;
    }
    pose.decompose(this.proxy.position, this.proxy.quaternion, this.proxy.scale);
    this.proxy.updateMatrixWorld();
    if (this.controls.object !== this.proxy) this.controls.attach(this.proxy);
  }

  /** Takes over tool, axes and steps. */
  configure(): void {
    const chosen = this.target === "" && tool.value === "scale" ? "move" : tool.value;
    this.controls.setMode(MODES[chosen]);
    this.controls.setSpace(chosen === "scale" ? "local" : space.value);
    const on = snaps();
    this.controls.setTranslationSnap(on ? steps.value.move : null);
    this.controls.setRotationSnap(on ? (steps.value.turn * Math.PI) / 180 : null);
    this.controls.setScaleSnap(on ? steps.value.scale : null);
    this.controls.showY = !(slide.value && chosen === "move" && this.target !== "");
  }

  private begin(): void {
    this.cancelled = false;
    this.start.copy(this.proxy.matrix);
  }

  private report(): void {
    if (this.target === null || this.cancelled) return;
    this.proxy.updateMatrixWorld();
    this.events.moved(this.target, this.proxy.matrix);
  }

  private end(): void {
    if (this.target === null) return;
    const moved = !this.proxy.matrix.equals(this.start);
    this.events.ended(this.target, this.cancelled || !moved ? null : this.proxy.matrix.clone(), tool.value);
  }

  /** Gives up what is being dragged. */
  cancel(): void {
    if (!this.dragging) return;
    this.cancelled = true;
    const start = this.sliding?.start ?? this.start;
    start.decompose(this.proxy.position, this.proxy.quaternion, this.proxy.scale);
    this.proxy.updateMatrixWorld();
    if (this.sliding) this.slideEnd();
    else this.controls.pointerUp(null);
  }

  /** Takes the attached entity by its body, at a point of it, to slide it along the ground. */
  slideBegin(point: Vector3): void {
    this.cancelled = false;
    const plane = new Plane().setFromNormalAndCoplanarPoint(new Vector3(0, 1, 0), point);
    this.sliding = { plane, from: point.clone(), start: this.proxy.matrix.clone() };
    this.controls.enabled = false;
  }

  slideTo(ray: Ray): void {
    const now = this.sliding;
    if (!now || this.target === null) return;
    const to = ray.intersectPlane(now.plane, new Vector3());
    if (!to) return;
    const by = to.sub(now.from);
    if (snaps()) by.divideScalar(steps.value.move).round().multiplyScalar(steps.value.move);
    this.proxy.position.setFromMatrixPosition(now.start).add(by);
    this.proxy.updateMatrixWorld();
    this.events.moved(this.target, this.proxy.matrix);
  }

  slideEnd(): void {
    const now = this.sliding;
    if (!now || this.target === null) return;
    this.sliding = null;
    this.controls.enabled = true;
    const moved = !this.proxy.matrix.equals(now.start);
    this.events.ended(this.target, this.cancelled || !moved ? null : this.proxy.matrix.clone(), "move");
  }
}
