/** The viewport's picture: the scene at the frame, seen by one of two cameras, drawn when something changed. */

import { effect, untracked } from "@preact/signals";
import {
  ColorManagement, LinearMipmapLinearFilter, LinearSRGBColorSpace, Matrix4, NoColorSpace, Scene, Sphere, type Texture, TextureLoader, Vector3, WebGLRenderer,
} from "three"; // prettier-ignore
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import type { Workspace } from "../api.ts";
import { shot } from "../live.ts";
import { decodeFloats, poseAt, zoomAt } from "../motion.ts";
import { rowsOf } from "../shot/tracks.ts";
import { document_, frame, freeView, motion, selected, tell, view, workspace } from "../state.ts";
import type { MotionData, SceneData } from "../types.ts";
import { sheet } from "../words.ts";
import { Actors } from "./actors.ts";
import { Backdrop, DIMMED } from "./backdrop.ts";
import { isIdentity, LensCamera } from "./cameras.ts";
import { Gizmo, type GizmoEvents } from "./gizmo.ts";
import { Guides, type PathTarget } from "./guides.ts";
import { lensIn, letterbox, type Rect, type Size } from "./lens.ts";
import {
  backdrop, ctrlHeld, drawnInSoftware, guides, hiddenInView, loading, locked, lookThrough, resolution, slide, snapping, space, steps, tool,
} from "./options.ts"; // prettier-ignore
import { Outline } from "./outline.ts";
import { Pace } from "./pace.ts";

ColorManagement.enabled = false;

const MARGIN = 18;
const PLAIN = 0x191c20;
const EMPTY = new Sphere(new Vector3(), 1);

export class Stage {
  readonly renderer: WebGLRenderer;
  readonly actors = new Actors(() => this.redraw());
  readonly guides = new Guides();
  readonly gizmo: Gizmo;
  readonly shotCamera = new LensCamera();
  readonly freeCamera = new LensCamera();
  readonly scene = new Scene();
  frameRect: Rect = { x: 0, y: 0, width: 1, height: 1 };
  private readonly orbit: OrbitControls;
  private readonly backdrop = new Backdrop();
  private readonly outline = new Outline();
  private readonly over = new Scene();
  private readonly pace = new Pace();
  private readonly stops: (() => void)[] = [];
  private canvasSize: Size = { width: 1, height: 1 };
  private photo: Texture | null = null;
  /** The photo without its objects, once the server has painted their places over. */
  private emptied: Texture | null = null;
  private dirty = true;
  private drew = false;
  private fine = false;
  private request = 0;
  private standing = "";
  /** The camera's pose while it is being dragged. */
  private heldCamera: Matrix4 | null = null;

  constructor(readonly canvas: HTMLCanvasElement, events: GizmoEvents, private readonly laidOut: (frame: Rect) => void) {
    this.renderer = new WebGLRenderer({ canvas, antialias: false, powerPreference: "high-performance" });
    this.renderer.outputColorSpace = LinearSRGBColorSpace;
    this.renderer.autoClear = false;
    drawnInSoftware.value = isSoftware(this.renderer);
    this.gizmo = new Gizmo(this.shotCamera, canvas, events);
    this.gizmo.controls.addEventListener("change", () => this.redraw());
    this.gizmo.controls.addEventListener("dragging-changed", (event) => this.lookAround(!event.value));
    this.orbit = new OrbitControls(this.freeCamera, canvas);
    this.orbit.enableDamping = false;
    this.orbit.addEventListener("change", () => this.freeMoved());
    this.scene.add(this.backdrop.mesh, this.guides.root, this.actors.root);
    this.over.add(this.gizmo.controls.getHelper(), this.gizmo.proxy);
    this.watch();
    this.request = requestAnimationFrame(this.tick);
  }

  dispose(): void {
    cancelAnimationFrame(this.request);
    for (const stop of this.stops) stop();
    freeView.value = null;
    this.gizmo.controls.dispose();
    this.orbit.dispose();
    this.renderer.dispose();
  }

  /** The camera that is looked through. */
  get camera(): LensCamera {
    return lookThrough.value ? this.shotCamera : this.freeCamera;
  }

  redraw(): void {
    this.dirty = true;
    this.fine = false;
  }

  resize(size: Size): void {
    this.canvasSize = { width: Math.max(size.width, 1), height: Math.max(size.height, 1) };
    this.redraw();
  }

  holdCamera(pose: Matrix4 | null): void {
    this.heldCamera = pose?.clone() ?? null;
    this.redraw();
  }

  /** Whether the mouse turns the free view; not so while it drags something. */
  lookAround(may: boolean): void {
    this.orbit.enabled = may && !lookThrough.value;
  }

  /** Brings what is selected into the middle of the free view. */
  lookAtSelected(): void {
    const name = selected.value;
    const pose = name === "" ? this.shotCamera.matrixWorld : name ? this.actors.poseOf(name) : null;
    const to = pose ? new Vector3().setFromMatrixPosition(pose) : this.actors.bounds().getCenter(new Vector3());
    const by = to.sub(this.orbit.target);
    this.orbit.target.add(by);
    this.freeCamera.position.add(by);
    this.orbit.update();
  }

  private watch(): void {
    this.stops.push(
      effect(() => this.takeScene()),
      effect(() => this.takeMotion()),
      effect(() => this.takePaths()),
      effect(() => {
        // Everything else that the picture depends on.
        void [frame.value, view.value, selected.value, lookThrough.value, backdrop.value, guides.value, hiddenInView.value];
        void [tool.value, space.value, snapping.value, ctrlHeld.value, steps.value, slide.value, locked.value];
        untracked(() => this.redraw());
      }),
      effect(() => {
        this.orbit.enabled = !lookThrough.value;
        untracked(() => this.freeMoved());
      }),
    );
  }

  private takeScene(): void {
    const [at, scene] = [workspace.value, document_.value?.scene];
    if (!at || !scene || scene.id === this.standing) return;
    this.standing = scene.id;
    untracked(() => void this.load(at, scene));
  }

  private async load(at: Workspace, scene: SceneData): Promise<void> {
    loading.value = "Loading the scene…";
    try {
      const photo = document_.value?.photo ? this.loadPhoto(at) : Promise.resolve(null);
      await this.actors.show(at, scene);
      this.photo = await photo;
    } catch {
      tell("The scene's meshes could not be loaded into the page. Reload it; if that does not help, lift the scene again.", "error");
    }
    loading.value = null;
    if (this.standing !== scene.id || !motion.value) return;
    this.actors.play(motion.value, scene);
    this.actors.at(0);
    this.stand(scene);
    this.takeMotion();
    void this.loadEmptied(at, scene);
  }

  /** Until it comes, the photo itself stands behind what has moved, dimmed. */
  private async loadEmptied(at: Workspace, scene: SceneData): Promise<void> {
    this.emptied = null;
    if (!this.photo) return;
    const found = await this.loadPicture(at.url(`scene/${encodeURIComponent(scene.id)}/emptied.png`)).catch(() => null);
    if (this.standing !== scene.id) return found?.dispose();
    this.emptied = found;
    this.redraw();
  }

  private async loadPhoto(at: Workspace): Promise<Texture> {
    return this.photo ?? this.loadPicture(at.url("photo.png"));
  }

  private async loadPicture(url: string): Promise<Texture> {
    const photo = await new TextureLoader().loadAsync(url);
    photo.flipY = false;
    photo.colorSpace = NoColorSpace;
    photo.generateMipmaps = true;
    photo.minFilter = LinearMipmapLinearFilter;
    return photo;
  }

  /** Puts up what surrounds the scene, and the free camera where it overlooks it. */
  private stand(scene: SceneData): void {
    const pose = new Matrix4().fromArray(scene.photoWorldFromCamera);
    const eye = new Vector3().setFromMatrixPosition(pose);
    const forward = new Vector3(-(pose.elements[8] ?? 0), 0, -(pose.elements[10] ?? 0));
    if (forward.length() < 1e-3) forward.set(0, 0, -1);
    forward.normalize();
    const spheres = this.actors.spheres();
    const reach = spheres.map((sphere) => sphere.center.clone().sub(eye).dot(forward) + sphere.radius);
    const farthest = Math.max(1e-3, ...reach);
    if (this.photo) this.backdrop.stand(this.photo, scene, farthest);
    this.guides.stand(scene, this.photo, farthest);
    const middle = this.actors.bounds().getCenter(new Vector3());
    const right = new Vector3().crossVectors(forward, new Vector3(0, 1, 0));
    const distance = Math.max(farthest, middle.distanceTo(eye));
    const from = eye.clone().addScaledVector(forward, -0.55 * distance).addScaledVector(right, 0.75 * distance);
    from.y += 0.6 * distance;
    this.freeCamera.position.copy(from);
    this.orbit.target.copy(eye.clone().lerp(middle, 0.7));
    this.orbit.update();
  }

  private takeMotion(): void {
    const [now, scene, at] = [motion.value, document_.value?.scene, workspace.value];
    const revision = document_.value?.revision;
    if (!now || !scene || !at || revision === undefined) return;
    untracked(() => {
      this.actors.play(now, scene);
      void this.actors.fetchDeformations(at, revision);
      this.redraw();
    });
  }

  private takePaths(): void {
    const [now, words, direction] = [motion.value, sheet.value, shot.value];
    const scene = document_.value?.scene;
    if (!now || !scene) return;
    const keys = (target: string): number[] =>
      words ? rowsOf(direction, target, words.clock, words.vocabulary).flatMap((row) => (row.keys ?? []).map((key) => Math.round(key.frame))) : [];
    const color = (name: string) => scene.entities.find((one) => one.name === name)?.color ?? "#9a9a9a";
    const targets: PathTarget[] = [
      { target: "", matrices: decodeFloats(now.camera), color: "#f0a24a", keys: keys("") },
      ...now.entities.map((one) => ({ target: one.name, matrices: decodeFloats(one.matrices), color: color(one.name), keys: keys(one.name) })),
    ];
    untracked(() => {
      this.guides.follow(targets);
      this.redraw();
    });
  }

  private freeMoved(): void {
    this.freeCamera.updateMatrixWorld();
    freeView.value = lookThrough.value ? null : { pose: this.freeCamera.matrixWorld.toArray(), zoom: 1 };
    this.redraw();
  }

  private readonly tick = (now: number): void => {
    this.request = requestAnimationFrame(this.tick);
    this.pace.tick(now, this.drew);
    this.drew = false;
    if (!this.dirty && (this.fine || !this.pace.isStill(now))) return;
    this.fine = !this.dirty;
    this.drew = this.dirty;
    this.dirty = false;
    this.draw();
  };

  /** Pixels along each side of a CSS pixel: fewer while a slow machine moves, more when all stands still. */
  private density(): number {
    const own = window.devicePixelRatio || 1;
    if (!this.fine) return own * resolution.value;
    const smooth = view.value === "shaded" || view.value === "textured";
    return smooth ? Math.max(own, 2) : own;
  }

  private draw(): void {
    const scene = document_.value?.scene;
    const now = motion.value;
    const { width, height } = this.canvasSize;
    this.renderer.setPixelRatio(this.density());
    this.renderer.setSize(width, height, false);
    this.renderer.setRenderTarget(null);
    const data = view.value === "normals" || view.value === "ids";
    this.renderer.setClearColor(data && lookThrough.value ? 0x000000 : PLAIN, 1);
    this.renderer.clear();
    if (!scene || !now) return;
    this.pose(scene, now);
    const showsPhoto = lookThrough.value && !data && backdrop.value > 0 && this.photo !== null;
    this.backdrop.mesh.visible = showsPhoto;
    this.guides.root.visible = !lookThrough.value && guides.value;
    if (showsPhoto) this.layPhoto(scene, now);
    this.renderer.render(this.scene, this.camera);
    this.drawSelection();
  }

  /** Poses actors and cameras as they are at the frame. */
  pose(scene: SceneData, now: MotionData): void {
    const at = Math.min(frame.value, now.frames - 1);
    this.actors.at(at);
    this.actors.hide(hiddenInView.value);
    const pose = this.heldCamera ?? new Matrix4().fromArray(poseAt(now, "", at) as number[]);
    this.shotCamera.place(pose);
    const frameRect = letterbox(scene.intrinsics, this.canvasSize, MARGIN);
    if (JSON.stringify(frameRect) !== JSON.stringify(this.frameRect)) {
      this.frameRect = frameRect;
      this.laidOut(frameRect);
    }
    const spheres = this.actors.spheres();
    const around = spheres.length ? spheres : [EMPTY];
    this.shotCamera.look(lensIn(scene.intrinsics, zoomAt(now, at), frameRect, this.canvasSize), around);
    this.guides.film(now, at, pose);
    const reach = this.guides.reach(around);
    this.freeCamera.look(lensIn(scene.intrinsics, 1, frameRect, this.canvasSize), reach);
    this.actors.look(view.value, this.camera.matrixWorldInverse);
  }

  /** The photo as long as everything is as in it; else the photo without its objects, which are drawn where they are. */
  private layPhoto(scene: SceneData, now: MotionData): void {
    const density = this.renderer.getPixelRatio();
    const size = { width: this.canvasSize.width * density, height: this.canvasSize.height * density };
    const rect = { x: this.frameRect.x * density, y: this.frameRect.y * density, width: this.frameRect.width * density, height: this.frameRect.height * density };
    const photoFromCamera = new Matrix4().fromArray(scene.photoWorldFromCamera).invert().multiply(this.shotCamera.matrixWorld);
    const moved = !isIdentity(photoFromCamera) || !this.actors.asInPhoto;
    const picture = moved ? this.emptied : this.photo;
    if (picture) this.backdrop.show(picture);
    const strength = backdrop.value * (picture ? 1 : DIMMED);
    this.backdrop.seen(photoFromCamera, lensIn(scene.intrinsics, zoomAt(now, frame.value), rect, size), strength);
  }

  private drawSelection(): void {
    const name = selected.value;
    const density = this.renderer.getPixelRatio();
    if (name) {
      const shown = this.actors.visibleMeshes().filter((mesh) => mesh.userData.entity === name);
      this.outline.draw(this.renderer, this.camera, shown, 2 * density);
    }
    const held = name !== null && locked.value.includes(name);
    const pose = name === null || held ? null : name === "" ? (lookThrough.value ? null : this.shotCamera.matrixWorld) : this.visiblePose(name);
    this.gizmo.attach(name, pose, this.camera);
    this.gizmo.configure();
    this.renderer.render(this.over, this.camera);
  }

  private visiblePose(name: string): Matrix4 | null {
    return this.actors.visibleMeshes().some((mesh) => mesh.userData.entity === name) ? this.actors.poseOf(name) : null;
  }
}
/** Whether the processor draws: known names of software drawers. */
function isSoftware(renderer: WebGLRenderer): boolean {
  const gl = renderer.getContext();
  const known = gl.getExtension("WEBGL_debug_renderer_info");
  const name = known ? String(gl.getParameter(known.UNMASKED_RENDERER_WEBGL)) : "";
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}
