/** Values of a motion over time, one number a frame, for the graph. */

import { signal } from "@preact/signals";
import { keep } from "../page.ts";
import { decodeFloats, entityMotion } from "../motion.ts";
import type { MotionData } from "../types.ts";

export const curvesOpen = keep("curves", false);
export const channel = signal<Channel>("x");

export const CHANNELS = ["x", "y", "z", "turn", "tilt", "scale", "zoom"] as const;
export type Channel = (typeof CHANNELS)[number];

/** What the channels of a target are: the camera zooms, an entity grows. */
export const channelsOf = (target: string): Channel[] =>
  CHANNELS.filter((each) => (target === "" ? each !== "scale" : each !== "zoom" && each !== "tilt"));

/** Positions in units, turns in degrees (right is positive), scale and zoom as factors; null for an unknown entity. */
export function values(motion: MotionData, target: string, of: Channel): number[] | null {
  if (of === "zoom") return [...decodeFloats(motion.zoom)];
  const text = target === "" ? motion.camera : entityMotion(motion, target)?.matrices;
  if (text === undefined) return null;
  const all = decodeFloats(text);
  const one = Array.from({ length: motion.frames }, (_, frame) => channelValue(all.subarray(frame * 16, frame * 16 + 16), of));
  return of === "turn" ? unwrapped(one) : one;
}

function channelValue(matrix: Float32Array, of: Channel): number {
  const at = (row: number, column: number) => matrix[column * 4 + row] as number;
  const places: Partial<Record<Channel, number>> = { x: 0, y: 1, z: 2 };
  const place = places[of];
  if (place !== undefined) return at(place, 3);
  if (of === "scale") return Math.cbrt(Math.abs(determinant(at)));
  // Where the camera's −Z, and an entity's +Z turned the same way, points.
  if (of === "tilt") return degrees(Math.asin(Math.min(Math.max(-at(1, 2), -1), 1)));
  return degrees(Math.atan2(-at(0, 2), at(2, 2)));
}

const degrees = (radians: number) => (radians * 180) / Math.PI;

function determinant(at: (row: number, column: number) => number): number {
  return (
    at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
    at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
    at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0))
  );
}

/** Degrees without jumps of a whole turn. */
function unwrapped(angles: number[]): number[] {
  const found: number[] = [];
  for (const angle of angles) {
    const before = found.at(-1) ?? angle;
    found.push(angle - 360 * Math.round((angle - before) / 360));
  }
  return found;
}
