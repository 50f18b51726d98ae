/** The numbers of a motion, decoded once: poses of the camera and of entities at every frame. */

import type { Base64, EntityMotion, MotionData } from "./types.ts";

const floats = new Map<Base64, Float32Array>();
const KEPT = 200;

/** float32 values of a base64 text. */
export function decodeFloats(text: Base64): Float32Array {
  let found = floats.get(text);
  if (!found) {
    found = new Float32Array(decodeBytes(text).buffer);
    if (floats.size > KEPT) floats.clear();
    floats.set(text, found);
  }
  return found;
}

/** uint8 values of a base64 text. */
export function decodeBytes(text: Base64): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export const entityMotion = (motion: MotionData, name: string): EntityMotion | undefined =>
  motion.entities.find((entity) => entity.name === name);

/** World from camera ("") or from an entity at a frame, 16 numbers, column-major; null where there is no such entity. */
export function poseAt(motion: MotionData, target: string, frame: number): number[] | null {
  const text = target === "" ? motion.camera : entityMotion(motion, target)?.matrices;
  if (text === undefined) return null;
  const at = Math.min(Math.max(Math.round(frame), 0), motion.frames - 1);
  return [...decodeFloats(text).subarray(at * 16, at * 16 + 16)];
}

/** The camera's focal length over the photo's at a frame. */
export function zoomAt(motion: MotionData, frame: number): number {
  return decodeFloats(motion.zoom)[Math.min(Math.max(Math.round(frame), 0), motion.frames - 1)] ?? 1;
}
