/** The mouse in the viewport: picking, sliding objects by their body, dragging keys of paths. */

import { Matrix4, Plane, Raycaster, Vector2, Vector3 } from "three";
import type { Sight } from "../marking/frame.ts";
import { frame, motion, selected } from "../state.ts";
import { poseAt } from "../motion.ts";
import type { KeyDot } from "./guides.ts";
import { guides, locked, lookThrough, tool } from "./options.ts";
import { keepPose, tryPose } from "./poses.ts";
import type { Stage } from "./stage.ts";

const DRAG = 4; // pixels that the pointer has to go before a press is a drag
const NEAR_DOT = 9;

interface Press {
  at: Vector2;
  name: string | null;
  point: Vector3 | null;
  dragging: boolean;
}

export class Pointer {
  private press: Press | null = null;
  private dot: { key: KeyDot; plane: Plane; from: Vector3; pose: Matrix4; now: Matrix4 | null } | null = null;
  private readonly ray = new Raycaster();

  constructor(private readonly stage: Stage, private readonly canvas: HTMLCanvasElement) {
    canvas.addEventListener("pointerdown", this.down);
    canvas.addEventListener("pointermove", this.move);
    canvas.addEventListener("pointerup", this.up);
  }

  dispose(): void {
    this.canvas.removeEventListener("pointerdown", this.down);
    this.canvas.removeEventListener("pointermove", this.move);
    this.canvas.removeEventListener("pointerup", this.up);
  }

  /** The entity under the pointer, or null. */
  entityAt(event: MouseEvent): string | null {
    return this.hit(event)?.name ?? null;
  }

  /** The line of sight under the pointer. */
  sightAt(event: MouseEvent): Sight {
    this.aim(event);
    const { origin, direction } = this.ray.ray;
    return { origin: origin.toArray(), direction: direction.toArray() };
  }

  private aim(event: MouseEvent): void {
    const box = this.canvas.getBoundingClientRect();
    const at = new Vector2(((event.clientX - box.left) / box.width) * 2 - 1, 1 - ((event.clientY - box.top) / box.height) * 2);
    this.ray.setFromCamera(at, this.stage.camera);
  }

  /** The entity under the pointer and the point that was met. */
  private hit(event: MouseEvent): { name: string; point: Vector3 } | null {
    this.aim(event);
    const found = this.ray.intersectObjects(this.stage.actors.visibleMeshes(), false)[0];
    return found ? { name: found.object.userData.entity as string, point: found.point } : null;
  }

  private dotAt(event: PointerEvent): KeyDot | null {
    if (lookThrough.value || !guides.value) return null;
    const box = this.canvas.getBoundingClientRect();
    const near = this.stage.guides.dots.map((key) => {
      const at = key.place.clone().project(this.stage.camera);
      const [x, y] = [((at.x + 1) / 2) * box.width + box.left, ((1 - at.y) / 2) * box.height + box.top];
      return { key, distance: at.z < 1 ? Math.hypot(x - event.clientX, y - event.clientY) : Number.POSITIVE_INFINITY };
    });
    const found = near.sort((a, b) => a.distance - b.distance)[0];
    return found && found.distance < NEAR_DOT ? found.key : null;
  }

  private readonly down = (event: PointerEvent): void => {
    if (event.button !== 0 || this.stage.gizmo.hovered) return;
    (document.activeElement as HTMLElement | null)?.blur();
    const key = this.dotAt(event);
    if (key && !locked.value.includes(key.target)) return this.takeDot(key, event);
    const found = this.hit(event);
    this.press = { at: new Vector2(event.clientX, event.clientY), name: found?.name ?? null, point: found?.point ?? null, dragging: false };
  };

  private readonly move = (event: PointerEvent): void => {
    if (this.dot) return this.moveDot(event);
    const press = this.press;
    if (!press) {
      this.canvas.style.cursor = this.dotAt(event) ? "grab" : "";
      return;
    }
    if (!press.dragging && press.at.distanceTo(new Vector2(event.clientX, event.clientY)) > DRAG) {
      press.dragging = true;
      this.startSlide(press, event);
    }
    if (this.stage.gizmo.dragging && press.dragging) {
      this.aim(event);
      this.stage.gizmo.slideTo(this.ray.ray);
    }
  };

  private startSlide(press: Press, event: PointerEvent): void {
    const { name, point } = press;
    const mayMove = name !== null && point !== null && name === selected.value && tool.value === "move" && !locked.value.includes(name);
    if (!mayMove) return;
    this.stage.lookAround(false);
    this.canvas.setPointerCapture(event.pointerId);
    this.stage.gizmo.slideBegin(point);
  }

  private readonly up = (event: PointerEvent): void => {
    if (this.dot) return this.dropDot();
    const press = this.press;
    this.press = null;
    if (!press) return;
    if (press.dragging) {
      this.stage.gizmo.slideEnd();
      this.stage.lookAround(true);
      return;
    }
    if (event.button === 0 && (press.name === null || !locked.value.includes(press.name))) selected.value = press.name;
  };

  private takeDot(key: KeyDot, event: PointerEvent): void {
    const now = motion.value;
    const pose = now && poseAt(now, key.target, key.frame);
    if (!pose) return;
    selected.value = key.target;
    frame.value = key.frame;
    // Dots go along the ground, and with Shift upright, facing the view.
    const facing = new Vector3().setFromMatrixColumn(this.stage.camera.matrixWorld, 2).setY(0).normalize();
    const normal = event.shiftKey ? facing : new Vector3(0, 1, 0);
    const plane = new Plane().setFromNormalAndCoplanarPoint(normal, key.place);
    this.dot = { key, plane, from: key.place.clone(), pose: new Matrix4().fromArray(pose), now: null };
    this.stage.lookAround(false);
    this.canvas.setPointerCapture(event.pointerId);
  }

  private moveDot(event: PointerEvent): void {
    const held = this.dot;
    if (!held) return;
    this.aim(event);
    const to = this.ray.ray.intersectPlane(held.plane, new Vector3());
    if (!to) return;
    if (event.shiftKey) to.set(held.from.x, to.y, held.from.z);
    held.now = held.pose.clone().setPosition(to);
    tryPose(held.key.target, held.now, held.key.frame);
  }

  private dropDot(): void {
    const held = this.dot;
    this.dot = null;
    this.stage.lookAround(true);
    if (held?.now) void keepPose(held.key.target, held.now, "move", held.key.frame);
  }
}
