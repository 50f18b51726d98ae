/** What the viewport's buttons and keys do. */

import { Matrix4 } from "three";
import { document_, frame, motion, selected, tell } from "../state.ts";
import { poseAt } from "../motion.ts";
import { hiddenInView, locked, lookThrough, space, tool } from "./options.ts";
import { keepPose } from "./poses.ts";
import type { Stage } from "./stage.ts";

export const toggleLook = (): void => {
  lookThrough.value = !lookThrough.value;
};

export const toggleSpace = (): void => {
  space.value = space.value === "world" ? "local" : "world";
};

/** Moves the selected entity straight down (or up) until its lowest point is on the ground. */
export function dropToGround(stage: Stage): void {
  const [name, scene, now] = [selected.value, document_.value?.scene, motion.value];
  if (!name || !scene || !now || locked.value.includes(name)) return;
  if (scene.groundY === null) {
    tell("This scene has no ground to drop on: none was found in the photo.", "error");
    return;
  }
  const pose = poseAt(now, name, frame.value);
  if (!pose) return;
  const matrix = new Matrix4().fromArray(pose);
  const by = scene.groundY - stage.actors.lowest(name, matrix);
  if (Math.abs(by) < 1e-6) return;
  matrix.elements[13] = (matrix.elements[13] ?? 0) + by;
  void keepPose(name, matrix, "move");
}

export const choose = (next: typeof tool.value) => (): void => {
  tool.value = next;
};

export function toggleIn(list: typeof hiddenInView, name: string): void {
  list.value = list.value.includes(name) ? list.value.filter((one) => one !== name) : [...list.value, name];
}
