/** Which frame is shown at a moment of playing. */

import type { FrameSpan } from "../shot/times.ts";

/** The frame at a time since playing began at `from`; `ended` where there is no loop to go on in. */
export function frameAfter(seconds: number, from: number, range: FrameSpan, fps: number, looped: boolean): { frame: number; ended: boolean } {
  const length = range.end - range.start + 1;
  const start = from < range.start || from > range.end ? range.start : from;
  const steps = start - range.start + Math.floor(seconds * fps + 1e-6);
  if (!looped && steps >= length) return { frame: range.end, ended: true };
  return { frame: range.start + (steps % length), ended: false };
}
