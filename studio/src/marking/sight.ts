/** What of the photo is in sight, and where the pointer is. */

import { signal } from "@preact/signals";
import { document_ } from "../state.ts";
import { fitted, type Frame, type Size, type Xy, zoomed } from "./frame.ts";

/** Where the photo lies; null before it is shown. */
export const frame_ = signal<Frame | null>(null);
export const stageSize = signal<Size>({ width: 0, height: 0 });
/** The pointer, in photo pixels; null outside. */
export const pointer = signal<Xy | null>(null);
/** Keys that are held; the space bar turns every tool into the hand. */
export const held = { space: false };

export function photoSize(): Size & { shrink: number } {
  return document_.value?.photo ?? { width: 1, height: 1, shrink: 1 };
}

/** Zooms about the middle of the stage, to the whole photo, or to one photo pixel a screen pixel. */
export function zoomBy(factor: number | "fit" | "pixels"): void {
  const [frame, stage] = [frame_.value, stageSize.value];
  if (!frame) return;
  const middle: Xy = [stage.width / 2, stage.height / 2];
  if (factor === "fit") frame_.value = fitted(photoSize(), stage);
  else frame_.value = zoomed(frame, factor === "pixels" ? 1 / (frame.scale * devicePixelRatio) : factor, middle, photoSize(), stage);
}
