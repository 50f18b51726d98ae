/** Moments and spans: any unit to frames, and frames back in the unit that was written. */

import { numberText, readQuantity } from "./quantities.ts";
import type { VocabularyData } from "./vocabulary.ts";

/** What seconds and percent refer to. */
export interface Clock {
  frames: number;
  fps: number;
}

export const lastFrame = (clock: Clock): number => Math.max(clock.frames - 1, 0);

type TimeUnit = "frames" | "s" | "%";

/** How many frames one of a unit word is, or null for an unknown word. */
function framesPer(unit: string, clock: Clock, vocabulary: VocabularyData): number | null {
  const found = vocabulary.units["time"]?.[unit.toLowerCase()];
  if (!found) return null;
  const kinds: Record<TimeUnit, number> = { frames: 1, s: clock.fps, "%": lastFrame(clock) / 100 };
  return found[1] * kinds[found[0] as TimeUnit];
}

/** "frame 10" and "10 frames" are the same. */
function turned(text: string, vocabulary: VocabularyData): { text: string; head: string } {
  const words = text.trim().split(/\s+/);
  const unit = (words[0] ?? "").toLowerCase();
  const swaps = words.length === 2 && unit !== "" && unit in (vocabulary.units["time"] ?? {});
  return swaps ? { text: words[1] as string, head: words[0] as string } : { text: text.trim(), head: "" };
}

/** The frame of a moment, not rounded, or null where it cannot be read. */
export function timeFrame(text: string, clock: Clock, vocabulary: VocabularyData): number | null {
  const { text: body, head } = turned(text, vocabulary);
  const found = readQuantity(body);
  const per = found && framesPer(head || found.unit, clock, vocabulary);
  return found && per !== null ? found.number * (per as number) : null;
}

/** The moment at another frame, in the unit and the words of the old one. */
export function movedTime(text: string, frame: number, clock: Clock, vocabulary: VocabularyData): string {
  const { text: body, head } = turned(text, vocabulary);
  const found = readQuantity(body);
  const unit = head || (found?.unit ?? "");
  const per = framesPer(unit, clock, vocabulary);
  if (!found || !per) return `${numberText(frame)} frames`;
  const number = shortNumber(frame, per, lastFrame(clock));
  return head ? `${head} ${number}` : `${number}${found.gap}${found.unit}`;
}

/** The shortest number of units that is the frame to a ten-thousandth, and not after the end. */
function shortNumber(frame: number, per: number, last: number): string {
  for (let digits = 0; digits <= 8; digits++) {
    const text = numberText(frame / per, digits);
    const back = Number(text) * per;
    if (Math.abs(back - frame) < 1e-4 && back <= last + 1e-9) return text;
  }
  return String(frame / per);
}

/** A span's parts as they stand in the text: `head left separator right`. */
interface SpanParts {
  head: string;
  left: string;
  separator: string;
  right: string;
}

const SEPARATOR = /\s*(?:[-–…]|\.\.|\bto\b)\s*/;

function spanParts(text: string, vocabulary: VocabularyData): SpanParts {
  let [head, body] = ["", text.trim()];
  const first = /^(\S+)(\s+)/.exec(body);
  if (first && (first[1] as string).toLowerCase() in (vocabulary.units["time"] ?? {})) {
    head = first[0];
    body = body.slice(head.length);
  }
  const separator = SEPARATOR.exec(body);
  if (!separator) return { head, left: "", separator: "", right: body };
  const right = body.slice(separator.index + separator[0].length);
  return { head, left: body.slice(0, separator.index), separator: separator[0], right };
}

const hasUnit = (side: string) => /[a-z%]/i.test(side);

/** The unit word that a bare side of a span takes. */
function sharedUnit(parts: SpanParts): string {
  return parts.head.trim() || parts.right.toLowerCase().replace(/[^%a-z]/g, "");
}

const withUnit = (side: string, unit: string) => (side && !hasUnit(side) ? `${side} ${unit}`.trim() : side);

export interface FrameSpan {
  start: number;
  end: number;
}

/** First and last frame of a span, not rounded; "" is the whole shot. Null where it cannot be read. */
export function spanFrames(text: string, clock: Clock, vocabulary: VocabularyData): FrameSpan | null {
  const parts = spanParts(text, vocabulary);
  const unit = sharedUnit(parts);
  const [left, right] = [withUnit(parts.left, unit), withUnit(parts.right, unit)];
  const start = left ? timeFrame(left, clock, vocabulary) : 0;
  const end = right ? timeFrame(right, clock, vocabulary) : lastFrame(clock);
  return start === null || end === null ? null : { start, end };
}

/**
 * The span from one frame to another, in the words of the old one; open sides that stay at the shot's ends stay open.
 * With `later`, the clock of a shot of another length, percent stay what they are.
 */
export function movedSpan(text: string, to: FrameSpan, clock: Clock, vocabulary: VocabularyData, later = clock): string {
  const parts = spanParts(text, vocabulary);
  const old = spanFrames(text, clock, vocabulary) ?? { start: 0, end: lastFrame(clock) };
  const same = later === clock;
  const openLeft = !parts.left && to.start === 0;
  const openRight = !parts.right && Math.abs(to.end - lastFrame(later)) < 1e-6;
  const unit = sharedUnit(parts) || (hasUnit(parts.left) ? "" : "frames");
  const side = (written: string, before: number, frame: number, other: string) =>
    same && written && Math.abs(before - frame) < 1e-6 ? written : movedSide(written, frame, unit, other, clock, vocabulary, later);
  const left = openLeft ? "" : side(parts.left, old.start, to.start, parts.right);
  const right = openRight ? "" : side(parts.right, old.end, to.end, parts.left);
  if (!left && !right) return "";
  const head = parts.head || (parts.left || parts.right ? "" : "frames ");
  const separator = parts.separator || (parts.right && hasUnit(parts.right) && sidesSpelled(left) ? " - " : "-");
  return left ? `${head}${left}${separator}${right}`.trim() : `${head}${parts.separator}${right}`.trim();
}

const sidesSpelled = (side: string) => hasUnit(side);

/** One side of a span at another frame; a new side is written as the other one is. */
function movedSide(
  side: string, frame: number, unit: string, other: string, clock: Clock, vocabulary: VocabularyData, later: Clock,
): string {
  const like = side || other || "0";
  const bare = !hasUnit(like) || (side !== "" && !hasUnit(side));
  const spelled = bare ? `0 ${unit || "frames"}` : like;
  if (later !== clock && side && isShare(bare ? unit : side)) return side;
  const moved = movedTime(spelled, frame, later, vocabulary);
  return bare ? String(readQuantity(moved)?.number ?? frame) : moved;
}

/** True for a time in percent of the shot, which follows a new length by itself. */
export const isShare = (text: string): boolean => /%|percent/i.test(text);
