/** How fast pictures come, and how finely they are drawn so that they come fast enough. */

import { framesPerSecond, resolution } from "./options.ts";

const STEPS = [1, 0.75, 0.5, 0.35];
/** A picture that takes longer than this (ms) is drawn with fewer pixels, one that takes less than the other with more. */
const TOO_LONG = 70;
const SHORT = 24;
const STILL_AFTER = 350;

/** Counts drawn pictures while something moves, and picks the resolution from the time that they take. */
export class Pace {
  private drawn: number[] = [];
  private costs: number[] = [];
  private last = 0;
  private step = 0;
  /** True while pictures follow each other. */
  moving = false;

  /** To be called once per animation frame; `drew` says whether a picture was drawn in the one before. */
  tick(now: number, drew: boolean): void {
    if (drew) {
      this.moving = this.drawn.length > 0 && now - (this.drawn.at(-1) as number) < STILL_AFTER;
      this.drawn = [...this.drawn.filter((time) => now - time < 1000), now];
      if (this.moving) this.costs = [...this.costs.slice(-5), now - this.last];
      if (this.moving) this.judge(now);
    }
    this.last = now;
  }

  /** True when nothing was drawn for a while. */
  isStill(now: number): boolean {
    if (now - (this.drawn.at(-1) ?? 0) < STILL_AFTER) return false;
    this.moving = false;
    this.costs = [];
    this.drawn = [];
    framesPerSecond.value = null;
    return true;
  }

  private judge(now: number): void {
    const since = this.drawn[0] as number;
    if (now - since > 200) framesPerSecond.value = Math.round(((this.drawn.length - 1) * 1000) / (now - since));
    if (this.costs.length < 5) return;
    const middle = [...this.costs].sort((a, b) => a - b)[2] as number;
    const next = this.step + (middle > TOO_LONG ? 1 : middle < SHORT ? -1 : 0);
    if (next === this.step || STEPS[next] === undefined) return;
    this.step = next;
    this.costs = [];
    resolution.value = STEPS[next] as number;
  }
}
