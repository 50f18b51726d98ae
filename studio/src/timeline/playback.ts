/** Playing: the frame runs with the clock, in the marked range, round and round where the loop is on. */

import { computed, effect } from "@preact/signals";
import { keep } from "../page.ts";
import type { FrameSpan } from "../shot/times.ts";
import { frame, motion, playing } from "../state.ts";
import { frameAfter } from "./playing.ts";

export const loop = keep("loop", true);
/** The range between the in and the out mark; null is the whole shot. */
export const marks = keep<FrameSpan | null>("marks", null);

/** First and last frame that are played. */
export const played = computed<FrameSpan>(() => {
  const last = Math.max((motion.value?.frames ?? 1) - 1, 0);
  const given = marks.value;
  if (!given || given.start >= last) return { start: 0, end: last };
  return { start: given.start, end: Math.min(given.end, last) };
});

function play(): () => void {
  const fps = motion.peek()?.fps ?? 16;
  const atEnd = frame.peek() >= played.peek().end;
  const from = atEnd ? played.peek().start : frame.peek();
  const began = performance.now();
  let request = requestAnimationFrame(function step(now) {
    const next = frameAfter((now - began) / 1000, from, played.peek(), fps, loop.peek());
    frame.value = next.frame;
    if (next.ended) playing.value = false;
    else request = requestAnimationFrame(step);
  });
  return () => cancelAnimationFrame(request);
}

effect(() => (playing.value ? play() : undefined));

/** Goes to a frame, and stops playing. */
export function goTo(to: number): void {
  playing.value = false;
  frame.value = Math.min(Math.max(Math.round(to), 0), Math.max((motion.value?.frames ?? 1) - 1, 0));
}

export function setMark(side: "start" | "end", at: number): void {
  const now = { ...played.value, [side]: at };
  if (side === "start" && now.end <= at) now.end = Math.max((motion.value?.frames ?? 1) - 1, 0);
  if (side === "end" && now.start >= at) now.start = 0;
  marks.value = now.start === 0 && now.end === (motion.value?.frames ?? 1) - 1 ? null : now;
}
