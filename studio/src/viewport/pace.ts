/** How fast pictures come, and how finely they are drawn so that they come fast enough. */

import { framesPerSecond, resolution } from "./options.ts";

const STEPS = [1, 0.75, 0.5, 0.35];
/** A picture that takes longer than this (ms) is drawn with fewer pixels, one that takes less than the other with more. */
const TOO_LONG = 70;
const SHORT = 24;
/** Pictures further apart than this (ms), from the end of one to the begin of the next, do not belong to one movement. */
const PAUSE = 350;
const SAMPLES = 3;

/** Counts drawn pictures while something moves, and picks the resolution from the time that they take. */
export class Pace {
  /** When pictures were done, in the last two seconds of this movement. */
  private done: number[] = [];
  private costs: number[] = [];
  private last = 0;
  private step = 0;

  /** To be called once per animation frame; `drew` says whether a picture was drawn in the one before. */
  tick(now: number, drew: boolean): void {
    if (drew) {
      const before = this.done.at(-1);
      const goesOn = before !== undefined && this.last - before < PAUSE;
      this.done = goesOn ? [...this.done.filter((time) => now - time < 2000), now] : [now];
      this.costs = goesOn ? [...this.costs.slice(1 - SAMPLES), now - this.last] : [];
      this.judge();
    }
    this.last = now;
  }

  /** True when nothing was drawn for a while; the movement has ended then. */
  isStill(now: number): boolean {
    const before = this.done.at(-1);
    if (before !== undefined && now - before < PAUSE) return false;
    this.costs = [];
    this.done = [];
    framesPerSecond.value = null;
    return true;
  }

  private judge(): void {
    const [first, last] = [this.done[0] as number, this.done.at(-1) as number];
    if (last - first > 200) framesPerSecond.value = Math.round(((this.done.length - 1) * 1000) / (last - first));
    if (this.costs.length < SAMPLES) return;
    const middle = [...this.costs].sort((a, b) => a - b)[SAMPLES >> 1] as number;
    const wanted = this.step + (middle > 2 * TOO_LONG ? 2 : middle > TOO_LONG ? 1 : middle < SHORT ? -1 : 0);
    const next = Math.min(Math.max(wanted, 0), STEPS.length - 1);
    if (next === this.step) return;
    this.step = next;
    this.costs = [];
    resolution.value = STEPS[next] as number;
  }
}
