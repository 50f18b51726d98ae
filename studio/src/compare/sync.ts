/** Keeps a video at the page's frame: it plays by itself while the page plays, and is pulled back where it drifts. */

import { effect } from "@preact/signals";
import { frame, motion, playing } from "../state.ts";

/** The time at which a video of a shot shows one of its frames: the middle of the frame that covers it. */
export function timeOf(at: number, frames: number, fps: number, duration: number): number {
  // A draft has every second frame, a take perhaps another length: time is what they share.
  const wanted = (Math.min(at, frames - 1) + 0.5) / fps;
  return Math.min(wanted, Math.max(duration - 0.01, 0));
}

/** Follows the page with a video until the answer is called. */
export function inStep(video: HTMLVideoElement): () => void {
  const seek = () => {
    const now = motion.peek();
    if (!now || !Number.isFinite(video.duration)) return;
    const time = timeOf(frame.peek(), now.frames, now.fps, video.duration);
    const drift = Math.abs(video.currentTime - time);
    if (drift > (playing.peek() ? 2 / now.fps : 1e-3) && !video.seeking) video.currentTime = time;
  };
  const stops = [
    effect(() => {
      frame.value;
      seek();
    }),
    effect(() => {
      if (playing.value) void video.play().catch(() => undefined);
      else {
        video.pause();
        seek();
      }
    }),
  ];
  video.addEventListener("loadedmetadata", seek);
  // The last of several wishes while it was seeking.
  video.addEventListener("seeked", seek);
  return () => {
    for (const stop of stops) stop();
    video.removeEventListener("loadedmetadata", seek);
    video.removeEventListener("seeked", seek);
  };
}
