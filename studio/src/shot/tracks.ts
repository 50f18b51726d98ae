/** What a timeline draws: for each target its moves, as bars (spans) and diamonds (keyframes), in frames. */

import type { ShotData } from "../types.ts";
import type { MoveMap } from "./moves.ts";
import { headOf, keysOf, movesOf, valueText, writtenSetting } from "./moves.ts";
import { type Clock, type FrameSpan, lastFrame, spanFrames, timeFrame } from "./times.ts";
import type { MoveWords, Room, VocabularyData } from "./vocabulary.ts";
import { keyframeWords, namedSetting, roomOf } from "./vocabulary.ts";

/** A key of a list of keyframes (`key` counts as in the shot; −1 is the photo's own pose at frame 0), or a whole move. */
export interface Ref {
  target: string;
  move: number;
  /** Null for the move itself. */
  key: number | null;
}

export interface KeyMark {
  key: number;
  frame: number;
  /** Of the way to the next key. */
  easing: string;
}

export interface Row {
  target: string;
  /** Number among the target's moves. */
  move: number;
  name: string;
  /** The main value as written, cut for a bar's label. */
  value: string;
  /** Null for moves that take no span. */
  span: FrameSpan | null;
  easing: string | null;
  /** In the order of time; null for moves without keyframes. */
  keys: KeyMark[] | null;
}

export const sameRef = (a: Ref, b: Ref): boolean => a.target === b.target && a.move === b.move && a.key === b.key;

export const refText = (ref: Ref): string => `${ref.target}\u0000${ref.move}\u0000${ref.key ?? ""}`;

/** The rows of one target, in the order of the shot. */
export function rowsOf(shot: ShotData, target: string, clock: Clock, vocabulary: VocabularyData): Row[] {
  const room = roomOf(target);
  return movesOf(shot, target, vocabulary).flatMap((move, index) => {
    const head = headOf(move, room, vocabulary);
    return head ? [rowOf(move, head.word, head.move, { target, move: index, room }, clock, vocabulary)] : [];
  });
}

function rowOf(
  move: MoveMap, word: string, words: MoveWords, at: { target: string; move: number; room: Room }, clock: Clock, vocabulary: VocabularyData,
): Row {
  const keys = keysOf(move, at.room, vocabulary);
  return {
    target: at.target,
    move: at.move,
    name: words.name === "move" ? word : words.name,
    value: keys ? "" : valueText(move[word]),
    span: spanOf(move, words, clock, vocabulary),
    easing: easingOf(move, words),
    keys: keys && keyMarks(keys, at.room, clock, vocabulary),
  };
}

/** When a move happens; null for one that takes no span, or whose span cannot be read. */
export function spanOf(move: MoveMap, words: MoveWords, clock: Clock, vocabulary: VocabularyData): FrameSpan | null {
  const item = words.settings.find((each) => each.kind === "a span of time");
  if (!item) return null;
  return spanFrames(spanText(move, words), clock, vocabulary);
}

/** A move's span as written; "" is the whole shot. */
export function spanText(move: MoveMap, words: MoveWords): string {
  const item = words.settings.find((each) => each.kind === "a span of time");
  if (!item) return "";
  const written = writtenSetting(move, item)?.text;
  const head = Object.keys(move).find((word) => word === words.name || words.words.includes(word));
  return written ?? (item.main && head ? valueText(move[head]) : "");
}

function easingOf(move: MoveMap, words: MoveWords): string | null {
  const item = namedSetting(words, "easing");
  return item ? (writtenSetting(move, item)?.text ?? item.default) : null;
}

/** Keys in the order of time; with the photo's own pose where no key stands on frame 0. */
function keyMarks(keys: MoveMap[], room: Room, clock: Clock, vocabulary: VocabularyData): KeyMark[] {
  const words = keyframeWords(vocabulary, room);
  const marks = keys.map((key, index) => ({
    key: index,
    frame: keyFrame(key, words, clock, vocabulary) ?? 0,
    easing: easingOf(key, words) ?? "ease",
  }));
  marks.sort((a, b) => a.frame - b.frame);
  const photo = namedSetting(words, "easing")?.default ?? "ease";
  return marks[0] && marks[0].frame > 0 ? [{ key: -1, frame: 0, easing: photo }, ...marks] : marks;
}

/** The frame of a keyframe, or null where it cannot be read. */
export function keyFrame(key: MoveMap, words: MoveWords, clock: Clock, vocabulary: VocabularyData): number | null {
  const item = namedSetting(words, "time");
  const written = item && writtenSetting(key, item);
  return written ? timeFrame(written.text, clock, vocabulary) : null;
}

/** First and last frame that something of a target happens in, or null. */
export function extentOf(rows: Row[], clock: Clock): FrameSpan | null {
  const frames = rows.flatMap((row) => [
    ...(row.keys ?? []).map((key) => key.frame),
    ...(row.span ? [row.span.start, row.span.end] : []),
  ]);
  if (!frames.length) return null;
  return { start: Math.max(Math.min(...frames), 0), end: Math.min(Math.max(...frames), lastFrame(clock)) };
}
