/**
 * Where the photo lies in the stage: a scale and an offset. "Photo" is a pixel of the photo as it is worked on, "screen" a
 * CSS pixel of the stage, "file" a pixel of the photo's file, in which marks count.
 */

import type { Intrinsics } from "../types.ts";

/** A line of sight in the world. */
export interface Sight {
  origin: readonly [number, number, number];
  direction: readonly [number, number, number];
}

export interface Frame {
  /** CSS pixels per photo pixel. */
  scale: number;
  /** Where the photo's corner is. */
  left: number;
  top: number;
}

export interface Size {
  width: number;
  height: number;
}

export type Xy = [number, number];

const MOST = 40;
const MARGIN = 12;
const RULER = 20;

/** The whole photo, as large as the stage allows, beside the rulers. */
export function fitted(photo: Size, stage: Size): Frame {
  const room = { width: stage.width - RULER - 2 * MARGIN, height: stage.height - RULER - 2 * MARGIN };
  const scale = Math.max(0.01, Math.min(room.width / photo.width, room.height / photo.height));
  return {
    scale,
    left: RULER + (stage.width - RULER - photo.width * scale) / 2,
    top: RULER + (stage.height - RULER - photo.height * scale) / 2,
  };
}

/** Larger or smaller by a factor, with what lies at `at` (screen) staying there. */
export function zoomed(frame: Frame, factor: number, at: Xy, photo: Size, stage: Size): Frame {
  const least = Math.min(fitted(photo, stage).scale, 1) / 2;
  const scale = Math.min(MOST, Math.max(least, frame.scale * factor));
  const ratio = scale / frame.scale;
  return { scale, left: at[0] - (at[0] - frame.left) * ratio, top: at[1] - (at[1] - frame.top) * ratio };
}

/** Moved by screen pixels, with a corner of the photo staying in sight. */
export function panned(frame: Frame, dx: number, dy: number, photo: Size, stage: Size): Frame {
  const keep = 40;
  const inside = (value: number, length: number, room: number) => Math.min(room - keep, Math.max(keep - length, value));
  return {
    scale: frame.scale,
    left: inside(frame.left + dx, photo.width * frame.scale, stage.width),
    top: inside(frame.top + dy, photo.height * frame.scale, stage.height),
  };
}

export const toPhoto = (frame: Frame, [x, y]: Xy): Xy => [(x - frame.left) / frame.scale, (y - frame.top) / frame.scale];
export const toScreen = (frame: Frame, [x, y]: Xy): Xy => [x * frame.scale + frame.left, y * frame.scale + frame.top];
export const toFile = ([x, y]: Xy, shrink: number): Xy => [x / shrink, y / shrink];
export const fromFile = ([x, y]: Xy, shrink: number): Xy => [x * shrink, y * shrink];

/** A point inside the photo, in file pixels, to a tenth. */
export function filePoint(at: Xy, photo: Size, shrink: number): Xy {
  const clip = (value: number, most: number) => Math.min(most - 0.05, Math.max(0.05, value));
  const [x, y] = toFile([clip(at[0], photo.width), clip(at[1], photo.height)], shrink);
  return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
}

export type Box = [number, number, number, number];

/** The box of two corners (photo pixels) in whole file pixels, cut at the photo's edges; null where it is tiny. */
export function fileBox(one: Xy, other: Xy, photo: Size, shrink: number): Box | null {
  const clip = (value: number, most: number) => Math.min(most, Math.max(0, value));
  const [x0, x1] = [one[0], other[0]].map((x) => clip(x, photo.width)).sort((a, b) => a - b) as Xy;
  const [y0, y1] = [one[1], other[1]].map((y) => clip(y, photo.height)).sort((a, b) => a - b) as Xy;
  const box: Box = [Math.round(x0 / shrink), Math.round(y0 / shrink), Math.round(x1 / shrink), Math.round(y1 / shrink)];
  return x1 - x0 >= 8 && y1 - y0 >= 8 ? box : null;
}

/** What of a box is pulled: an edge, a corner, or all of it. */
export type BoxPart = "n" | "e" | "s" | "w" | "nw" | "ne" | "se" | "sw" | "move";

const SMALLEST = 4; // file pixels

/** A box with a part of it pulled, all in whole file pixels; it stays inside the photo, and some pixels large. */
export function boxPulled([x0, y0, x1, y1]: Box, part: BoxPart, [dx, dy]: Xy, photo: Size): Box {
  const clip = (value: number, low: number, high: number) => Math.round(Math.min(high, Math.max(low, value)));
  if (part === "move") {
    const [right, down] = [clip(dx, -x0, photo.width - x1), clip(dy, -y0, photo.height - y1)];
    return [x0 + right, y0 + down, x1 + right, y1 + down];
  }
  const has = (side: string) => part.includes(side);
  return [
    has("w") ? clip(x0 + dx, 0, x1 - SMALLEST) : x0,
    has("n") ? clip(y0 + dy, 0, y1 - SMALLEST) : y0,
    has("e") ? clip(x1 + dx, x0 + SMALLEST, photo.width) : x1,
    has("s") ? clip(y1 + dy, y0 + SMALLEST, photo.height) : y1,
  ];
}

/** The line of sight of a photo pixel: where it begins in the world, and its direction. */
export function sightOf([x, y]: Xy, lens: Intrinsics, worldFromCamera: readonly number[]): Sight {
  const seen = [(x - lens.cx) / lens.fx, (lens.cy - y) / lens.fy, -1] as const;
  const along = (row: number) => seen.reduce((sum, value, column) => sum + value * (worldFromCamera[4 * column + row] ?? 0), 0);
  const from = (row: number) => worldFromCamera[12 + row] ?? 0;
  return { origin: [from(0), from(1), from(2)], direction: [along(0), along(1), along(2)] };
}

/** Ticks of a ruler between two file pixels: at round numbers, at least `apart` screen pixels from each other. */
export function ticks(from: number, to: number, screenPerFile: number, apart: number): number[] {
  let step = 1;
  for (let decade = 1; ; decade *= 10) {
    const found = [1, 2, 5].map((factor) => factor * decade).find((each) => each * screenPerFile >= apart);
    if (found !== undefined) {
      step = found;
      break;
    }
  }
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, k) => first + k * step);
}
