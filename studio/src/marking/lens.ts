/** The photo's camera, from lines that are drawn on the photo; the server solves them (`real2sam2real/studio/lens.py`). */

import { computed, signal } from "@preact/signals";
import { document_, guarded, workspace } from "../state.ts";
import { Problem } from "../api.ts";
import type { ViewData } from "../types.ts";
import { toFile, type Xy } from "./frame.ts";
import { mark } from "./marks.ts";
import { photoSize } from "./sight.ts";

export type Ends = [Xy, Xy];
export type Direction = "upright" | "level" | "across";

/** Ends of the horizon, in file pixels; null before they are known. */
export const horizon = signal<Ends | null>(null);
/** Pairs of lines that are parallel in the world, in file pixels. */
export const pairs = signal<Partial<Record<Direction, [Ends, Ends]>>>({});

export interface Solved {
  focal: number;
  pitch: number;
  roll: number;
  /** "given": the lines do not tell the focal length. */
  focalFrom: "lines" | "given";
  horizon: Ends;
  notes: string[];
}

/** What the lines say, or why they say nothing. */
export const solved = signal<Solved | null>(null);
export const problem = signal("");

interface Estimate {
  focal: number;
  pitch: number | null;
  roll: number | null;
}

const estimate = signal<Estimate | null>(null);

/** What counts now: what a person said, else what the last lift took, else what the photo tells. */
export const current = computed(() => {
  const said: ViewData | undefined = document_.value?.view;
  const seen = said?.estimated ?? estimate.value;
  if (!said || !seen) return null;
  return { focal: said.focal ?? seen.focal, pitch: said.pitch ?? seen.pitch ?? 0, roll: said.roll ?? seen.roll ?? 0, isSeen: seen.pitch !== null };
});

/** Asks the photo, where nothing is lifted yet, and lays the lines as they are known. */
export async function beginLens(): Promise<void> {
  const at = workspace.value;
  if (!at) return;
  if (!document_.value?.view.estimated && !estimate.value) estimate.value = await guarded(() => at.request<Estimate>("objects/estimate"));
  await layHorizon();
}

/** Draws the horizon where the numbers that count put it. */
export async function layHorizon(): Promise<void> {
  const [at, now] = [workspace.value, current.value];
  if (!at || !now) return;
  const found = await guarded(() => at.request<{ horizon: Ends }>("objects/horizon", "POST", { focal: now.focal, pitch: now.pitch, roll: now.roll }));
  if (found) horizon.value = withinSight(found.horizon);
}

/** The same line with its handles inside the photo where it crosses it. */
function withinSight([[x0, y0], [x1, y1]]: Ends): Ends {
  const [width] = toFile([photoSize().width, 0], photoSize().shrink);
  const at = (share: number): Xy => {
    const x = share * width;
    return [x, y0 + ((y1 - y0) * (x - x0)) / (x1 - x0)];
  };
  return [at(0.15), at(0.85)];
}

let waiting = false;
let under: Promise<void> | null = null;

/** Asks what the lines say, as fast as the server answers; done when it has answered for the newest lines. */
export function solve(): Promise<void> {
  waiting = true;
  under ??= solveNewest().finally(() => (under = null));
  return under;
}

async function solveNewest(): Promise<void> {
  while (waiting) {
    waiting = false;
    await solveOnce();
  }
}

async function solveOnce(): Promise<void> {
  const at = workspace.value;
  if (!at) return;
  const drawn = Object.entries(pairs.value).map(([direction, lines]) => ({ direction, lines }));
  try {
    solved.value = await at.request<Solved>("objects/lens", "POST", { horizon: horizon.value, pairs: drawn, focal: current.value?.focal ?? null });
    problem.value = "";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    solved.value = null;
    problem.value = error.message;
  }
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

/** Keeps what the lines say. */
export async function keepSolved(): Promise<void> {
  await solve();
  const found = solved.value;
  const said = document_.value?.view;
  if (!found || !said) return;
  const focal = found.focalFrom === "lines" ? rounded(found.focal, 1) : said.focal;
  await say({ focal, pitch: rounded(found.pitch, 2), roll: rounded(found.roll, 2) });
  if (found.focalFrom === "lines") horizon.value = withinSight(found.horizon);
}

export const say = (view: Pick<ViewData, "focal" | "pitch" | "roll">) => mark("Keeping the camera…", { view });

/** Draws a pair of lines of a direction, or takes it away. */
export function togglePair(direction: Direction): void {
  const { [direction]: there, ...others } = pairs.value;
  if (there) {
    pairs.value = others;
    return;
  }
  const [width, height] = toFile([photoSize().width, photoSize().height], photoSize().shrink);
  const at = (x: number, y: number): Xy => [x * width, y * height];
  const first: Record<Direction, [Ends, Ends]> = {
    upright: [[at(0.25, 0.2), at(0.28, 0.8)], [at(0.75, 0.2), at(0.72, 0.8)]],
    level: [[at(0.2, 0.9), at(0.42, 0.6)], [at(0.8, 0.9), at(0.58, 0.6)]],
    across: [[at(0.1, 0.6), at(0.6, 0.5)], [at(0.1, 0.85), at(0.6, 0.65)]],
  };
  pairs.value = { ...others, [direction]: first[direction] };
}

const DIAGONAL_35MM = Math.hypot(36, 24);

/** Three ways to say one focal length, for a photo's file of so many pixels. */
export function focalAs(focal: number, size: { width: number; height: number }): { pixels: number; millimetres: number; degrees: number } {
  return {
    pixels: focal,
    millimetres: (focal * DIAGONAL_35MM) / Math.hypot(size.width, size.height),
    degrees: (2 * Math.atan(size.width / (2 * focal)) * 180) / Math.PI,
  };
}

export function focalFrom(unit: "pixels" | "millimetres" | "degrees", value: number, size: { width: number; height: number }): number {
  if (unit === "pixels") return value;
  if (unit === "millimetres") return (value * Math.hypot(size.width, size.height)) / DIAGONAL_35MM;
  return size.width / (2 * Math.tan((value * Math.PI) / 360));
}
