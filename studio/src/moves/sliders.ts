/** Which values a slider runs through, by kind of value and unit; texts keep their unit. */

import { numberText, readQuantity, readSigned } from "../shot/quantities.ts";
import { splitList } from "../shot/text.ts";
import type { SettingWords, VocabularyData } from "../shot/vocabulary.ts";

/** A slider's ends and step, in the unit of the text; `log` ones run evenly through factors. */
export interface Range {
  low: number;
  high: number;
  step: number;
  log?: boolean;
}

/** Units that are offered for a kind of value, the most usual one first. */
export const UNITS: Record<string, string[]> = {
  "an angle": ["deg", "turns", "rad"],
  "a facing": ["deg"],
  "a distance": ["%", "units", "m", "cm"],
  "a factor": ["x", "%"],
  "a scale": ["x", "%"],
  "a frequency": ["Hz"],
  "a zoom": ["x", "mm", "deg"],
};

const QUANTITIES: Record<string, string> = {
  "an angle": "angle", "a facing": "angle", "a distance": "distance", "a factor": "factor", "a scale": "factor",
};

const RANGES: Record<string, Range> = {
  "angle deg": { low: -180, high: 180, step: 1 },
  "angle turns": { low: -2, high: 2, step: 0.05 },
  "angle rad": { low: -3.14, high: 3.14, step: 0.02 },
  "distance %": { low: -200, high: 200, step: 1 },
  "distance units": { low: -5, high: 5, step: 0.05 },
  "distance m": { low: -10, high: 10, step: 0.1 },
  "distance cm": { low: -500, high: 500, step: 5 },
  "factor x": { low: 0.125, high: 8, step: 0.01, log: true },
  "factor %": { low: 12.5, high: 800, step: 1, log: true },
  "zoom x": { low: 0.125, high: 8, step: 0.01, log: true },
  "zoom mm": { low: 10, high: 300, step: 1, log: true },
  "zoom deg": { low: 5, high: 140, step: 1 },
  "frequency hz": { low: 0.2, high: 10, step: 0.1 },
};

/** A number with the unit that the slider shows. */
export interface Slid {
  number: number;
  unit: string;
}

/** The number of a written value, its sign from direction words, or null for a value that no slider shows. */
export function readSlid(text: string, item: SettingWords): Slid | null {
  if (item.kind === "a scale" && splitList(text).length !== 1) return null;
  const found = item.kind === "a zoom" ? readZoom(text) : readSigned(text, item.signs);
  return found && { number: found.number, unit: found.unit || (UNITS[item.kind]?.find((unit) => unit !== "%") ?? "") };
}

function readZoom(text: string): Slid | null {
  const [, word = "", body = ""] = /^(?:(in|out|to)\s+)?(.*)$/i.exec(text.trim()) ?? [];
  const found = readQuantity(body);
  if (!found) return null;
  return { number: word.toLowerCase() === "out" ? 1 / found.number : found.number, unit: found.unit };
}

export function slidText({ number, unit }: Slid): string {
  const gap = unit === "x" || unit === "%" || unit === "" ? "" : " ";
  return `${numberText(number)}${gap}${unit}`;
}

/** The slider's range: small for settings whose usual value is small, and never too short for the value. */
export function rangeOf(item: SettingWords, { number, unit }: Slid, vocabulary: VocabularyData): Range {
  const quantity = QUANTITIES[item.kind] ?? (item.kind === "a zoom" ? "zoom" : "frequency");
  const canonical = canonicalUnit(quantity, unit, vocabulary);
  const range = RANGES[`${quantity} ${canonical}`] ?? RANGES["factor x"] as Range;
  const usual = item.default === null ? null : readQuantity(item.default);
  if (!range.log && usual && usual.number !== 0 && canonical === canonicalUnit(quantity, usual.unit, vocabulary)) {
    return widened({ low: 0, high: 5 * usual.number, step: usual.number / 20 }, number);
  }
  return widened(range, number);
}

const widened = (range: Range, number: number): Range => ({ ...range, low: Math.min(range.low, number), high: Math.max(range.high, number) });

/** The unit whose range holds for a unit word: "degrees" is "deg", a percent factor stays "%". */
function canonicalUnit(quantity: string, unit: string, vocabulary: VocabularyData): string {
  const low = unit.toLowerCase();
  if (`${quantity} ${low}` in RANGES) return low;
  return vocabulary.units[quantity]?.[low]?.[0] ?? low;
}

/** Place of a number on a slider of 0…1000, and back. */
export const toSlider = (number: number, range: Range): number =>
  1000 * (range.log ? Math.log(number / range.low) / Math.log(range.high / range.low) : (number - range.low) / (range.high - range.low));

export function fromSlider(place: number, range: Range): number {
  const part = place / 1000;
  if (range.log) {
    const value = range.low * (range.high / range.low) ** part;
    return Math.abs(Math.log(value)) < 0.012 ? 1 : Number(value.toPrecision(3));
  }
  return Number((Math.round((range.low + part * (range.high - range.low)) / range.step) * range.step).toFixed(6));
}

/** What a value starts with when a move is added. */
export const STARTS: Record<string, string> = {
  "an angle": "30 deg",
  "a facing": "90 deg",
  "a distance": "25%",
  "a factor": "1.5x",
  "a scale": "1.2x",
  "a zoom": "1.5x",
  "a list of points": "(1, 0, 0), (2, 0, -1)",
};
