/** Poses that a person gives by hand: tried as they come, kept as one step of undo. */

import type { Matrix4 } from "three";
import { dropDraft, keepDraft, tryKeyframe } from "../live.ts";
import { frame } from "../state.ts";
import type { Tool } from "./options.ts";

const VERBS: Record<Tool, string> = { move: "Move", turn: "Turn", scale: "Scale" };

export const tryPose = (target: string, pose: Matrix4, at = frame.value): void => tryKeyframe(target, at, pose.toArray());

/** Saves a pose at a frame; gives when the server has answered. */
export async function keepPose(target: string, pose: Matrix4, done: Tool, at = frame.value): Promise<boolean> {
  tryPose(target, pose, at);
  return keepDraft(`${VERBS[done]} ${target === "" ? "the camera" : target}`);
}

export { dropDraft as dropPose };
