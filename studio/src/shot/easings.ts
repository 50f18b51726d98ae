/** Easings: their names and Bézier curves; `real2sam2real/scene/timing.py` is the other side. */

import { numberText } from "./quantities.ts";
import { splitList } from "./text.ts";

/** Control points x1, y1, x2, y2 between (0, 0) and (1, 1). */
export type Bezier = [number, number, number, number];

/** The named easings as the curves that they exactly are; `hold` is none. */
const CURVES: Record<string, Bezier> = {
  linear: [1 / 3, 1 / 3, 2 / 3, 2 / 3],
  ease: [1 / 3, 0, 2 / 3, 1],
  "ease-in": [1 / 3, 0, 2 / 3, 1 / 3],
  "ease-out": [1 / 3, 2 / 3, 2 / 3, 1],
};

/** The curve of an easing's text, or null where it has none (`hold`). */
export function easingCurve(text: string): Bezier | null {
  const low = text.trim().toLowerCase();
  if (low in CURVES) return CURVES[low] as Bezier;
  const numbers = low.startsWith("bezier") ? splitList(low.slice(6)).map(Number) : [];
  return numbers.length === 4 && numbers.every(Number.isFinite) ? (numbers as Bezier) : null;
}

/** The name of a curve that has one, else "bezier (x1, y1, x2, y2)". */
export function curveText(curve: Bezier): string {
  for (const [name, known] of Object.entries(CURVES)) {
    if (known.every((value, place) => Math.abs(value - (curve[place] as number)) < 0.004)) return name;
  }
  return `bezier (${curve.map((value) => numberText(value, 3)).join(", ")})`;
}

const coordinate = (a: number, b: number, s: number) => 3 * a * s * (1 - s) ** 2 + 3 * b * s * s * (1 - s) + s ** 3;

/** Share of the way at a share of the time. */
export function eased(fraction: number, easing: string): number {
  const f = Math.min(Math.max(fraction, 0), 1);
  const curve = easingCurve(easing);
  if (!curve) return Math.floor(f);
  let [low, high] = [0, 1];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (coordinate(curve[0], curve[2], middle) < f) low = middle;
    else high = middle;
  }
  return coordinate(curve[1], curve[3], (low + high) / 2);
}
