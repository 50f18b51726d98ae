/** Where frames stand on the screen. */

import { computed, signal } from "@preact/signals";
import { motion } from "../state.ts";

/** Space before frame 0 and after the last one, so that their keys can be grasped. */
export const MARGIN = 14;
/** Width of the column of names. */
export const NAMES = 176;

/** Pixels that the lanes have. */
export const room = signal(600);
export const zoom = signal(1);
export const scrolled = signal(0);

export const last = computed(() => Math.max((motion.value?.frames ?? 1) - 1, 0));
export const perFrame = computed(() => ((room.value - 2 * MARGIN) / Math.max(last.value, 1)) * zoom.value);
export const laneWidth = computed(() => Math.round(perFrame.value * Math.max(last.value, 1) + 2 * MARGIN));

export const xOf = (frame: number): number => MARGIN + frame * perFrame.value;
export const frameAt = (x: number): number => Math.min(Math.max((x - MARGIN) / perFrame.value, 0), last.value);

/** Frames between two labels of the ruler: 1, 2, 5, 10, … so that labels stand apart. */
export function labelStep(pixelsPerFrame: number, apart = 44): number {
  for (let power = 1; ; power *= 10) {
    for (const step of [1, 2, 5]) if (step * power * pixelsPerFrame >= apart) return step * power;
  }
}
