/** Edits of the dope sheet: keys and spans are moved, copied, pasted, deleted, eased and retimed; other words stay. */

import type { ShotData } from "../types.ts";
import type { MoveMap } from "./moves.ts";
import { headOf, keysOf, movesOf, withKeys, withMoves, withSetting, writtenSetting } from "./moves.ts";
import { type Clock, type FrameSpan, isShare, lastFrame, movedSpan, movedTime, spanFrames } from "./times.ts";
import { keyFrame, type Ref, spanText } from "./tracks.ts";
import type { MoveWords, Room, VocabularyData } from "./vocabulary.ts";
import { keyframeWords, namedSetting, roomOf } from "./vocabulary.ts";

/** What every edit needs to know. */
export interface Sheet {
  vocabulary: VocabularyData;
  clock: Clock;
  /** The clock that times are written for, where an edit changes the shot's length. */
  later?: Clock;
}

export interface Edited {
  shot: ShotData;
  /** Where the edited keys and moves are now. */
  refs: Ref[];
}

const PHOTO = -1;

/** Moves keys and bars by whole or part frames; what would leave the shot stops at its ends, all together. */
export function moved(shot: ShotData, refs: Ref[], by: number, sheet: Sheet): Edited {
  const shift = withinShot(shot, refs, by, sheet);
  return retimed(shot, refs, (frame) => frame + shift, sheet);
}

/** Stretches keys and bars about a frame. */
export function stretched(shot: ShotData, refs: Ref[], about: number, factor: number, sheet: Sheet): Edited {
  const last = lastFrame(sheet.clock);
  const snap = (frame: number) => Math.min(Math.max(Math.round(about + (frame - about) * factor), 0), last);
  return retimed(shot, refs, snap, sheet);
}

/** The shot with every key and span at another place in time; keys of the same moves that they fall on are replaced. */
export function retimed(shot: ShotData, refs: Ref[], place: (frame: number) => number, sheet: Sheet): Edited {
  const found: Ref[] = [];
  const edited = eachMove(shot, refs, sheet, (move, words, own, at) => {
    const next = own.some((ref) => ref.key === null) ? moveRetimed(move, words, place, at.room, sheet) : move;
    const list = keysOf(next, at.room, sheet.vocabulary);
    const chosen = own.flatMap((ref) => (ref.key === null || ref.key === PHOTO ? [] : [ref.key]));
    if (own.some((ref) => ref.key === null)) found.push({ target: at.target, move: at.index, key: null });
    if (!list || !chosen.length) return next;
    const { keys, now } = keysRetimed(list, chosen, place, at.room, sheet);
    found.push(...now.map((key) => ({ target: at.target, move: at.index, key })));
    return withKeys(next, keys, at.room, sheet.vocabulary);
  });
  return { shot: edited, refs: found };
}

function moveRetimed(move: MoveMap, words: MoveWords, place: (frame: number) => number, room: Room, sheet: Sheet): MoveMap {
  const list = keysOf(move, room, sheet.vocabulary);
  if (list) {
    const { keys } = keysRetimed(list, [...list.keys()], place, room, sheet);
    return withKeys(move, keys, room, sheet.vocabulary);
  }
  const span = spanFrames(spanText(move, words), sheet.clock, sheet.vocabulary);
  return span ? withSpan(move, words, { start: place(span.start), end: place(span.end) }, sheet) : move;
}

function keysRetimed(
  keys: MoveMap[], chosen: number[], place: (frame: number) => number, room: Room, sheet: Sheet,
): { keys: MoveMap[]; now: number[] } {
  const words = keyframeWords(sheet.vocabulary, room);
  const frames = keys.map((key) => keyFrame(key, words, sheet.clock, sheet.vocabulary) ?? 0);
  const places = new Map(chosen.map((index) => [index, place(frames[index] ?? 0)]));
  const taken = [...places.values()];
  const kept: MoveMap[] = [];
  const now: number[] = [];
  for (const [index, key] of keys.entries()) {
    const to = places.get(index);
    if (to === undefined && taken.some((frame) => Math.abs(frame - (frames[index] as number)) < 1e-3)) continue;
    if (to !== undefined) now.push(kept.length);
    kept.push(to === undefined ? key : keyAt(key, to, words, sheet));
  }
  return { keys: kept, now };
}

/** A keyframe at another frame, its time in the unit that it has. */
function keyAt(key: MoveMap, frame: number, words: MoveWords, sheet: Sheet): MoveMap {
  const item = namedSetting(words, "time");
  if (!item) return key;
  const old = writtenSetting(key, item);
  if (!old) return withSetting(key, item, `${frame} frames`);
  if (sheet.later && isShare(old.text)) return key;
  const prefix = item.words[old.word] ?? "";
  const text = movedTime(old.text, frame, sheet.later ?? sheet.clock, sheet.vocabulary);
  return withSetting(key, item, text.startsWith(prefix) ? text.slice(prefix.length) : text, old.word);
}

/** A move with another span, in the words of the old one. */
export function withSpan(move: MoveMap, words: MoveWords, span: FrameSpan, sheet: Sheet): MoveMap {
  const item = words.settings.find((each) => each.kind === "a span of time");
  if (!item) return move;
  const old = writtenSetting(move, item);
  const text = movedSpan(spanText(move, words), span, sheet.clock, sheet.vocabulary, sheet.later);
  const head = Object.keys(move).find((word) => word === words.name || words.words.includes(word));
  if (!old && item.main && head) return { ...move, [head]: text || null };
  if (!old) return text ? withSetting(move, item, text, "span") : move;
  if (!text) return withSetting(move, item, null);
  const prefix = item.words[old.word] ?? "";
  return withSetting(move, item, text.startsWith(prefix) ? text.slice(prefix.length) : text, old.word);
}

/** Sets the ends of one bar; a bar keeps at least one frame and stays inside the shot. */
export function spanSet(shot: ShotData, ref: Ref, span: FrameSpan, sheet: Sheet): ShotData {
  const last = lastFrame(sheet.clock);
  const start = Math.min(Math.max(span.start, 0), last - 1);
  const end = Math.min(Math.max(span.end, start + 1), last);
  return eachMove(shot, [ref], sheet, (move, words) => withSpan(move, words, { start, end }, sheet));
}

/** Takes keys and moves out; a list that loses its last key goes with it. */
export function deleted(shot: ShotData, refs: Ref[], sheet: Sheet): ShotData {
  return eachMove(shot, refs, sheet, (move, _words, own, at) => {
    if (own.some((ref) => ref.key === null)) return null;
    const keys = keysOf(move, at.room, sheet.vocabulary) ?? [];
    const left = keys.filter((_, index) => !own.some((ref) => ref.key === index));
    return left.length ? withKeys(move, left, at.room, sheet.vocabulary) : null;
  });
}

/** Sets the easing of keys (of the way to the next one) and of moves. */
export function easedBy(shot: ShotData, refs: Ref[], easing: string, sheet: Sheet): ShotData {
  return eachMove(shot, refs, sheet, (move, words, own, at) => {
    const whole = namedSetting(words, "easing");
    const next = whole && own.some((ref) => ref.key === null) ? withSetting(move, whole, easing) : move;
    const keys = keysOf(next, at.room, sheet.vocabulary);
    if (!keys) return next;
    const keyWords = keyframeWords(sheet.vocabulary, at.room);
    const item = namedSetting(keyWords, "easing");
    if (!item) return next;
    const whollyChosen = own.some((ref) => ref.key === null);
    const chosen = (index: number) => whollyChosen || own.some((ref) => ref.key === index);
    const changed = keys.map((key, index) => (chosen(index) ? withSetting(key, item, easing) : key));
    // The photo's pose at frame 0 becomes a key of its own, so that the way from it can be eased.
    const photo = own.some((ref) => ref.key === PHOTO) ? [{ time: "0 frames", easing }] : [];
    return withKeys(next, [...photo, ...changed], at.room, sheet.vocabulary);
  });
}

/** Keys and moves on the clipboard, with their places in time. */
export interface Clip {
  items: { target: string; move: number; key: MoveMap | null; whole: MoveMap | null; frame: number }[];
}

export function copied(shot: ShotData, refs: Ref[], sheet: Sheet): Clip {
  const items: Clip["items"] = [];
  eachMove(shot, refs, sheet, (move, words, own, at) => {
    const keys = keysOf(move, at.room, sheet.vocabulary) ?? [];
    for (const ref of own) {
      const key = ref.key === null ? null : keys[ref.key];
      if (key === undefined) continue;
      const frame = key === null ? startOf(move, words, at.room, sheet) : frameOfKey(key, at.room, sheet);
      items.push({ target: at.target, move: at.index, key, whole: key === null ? move : null, frame });
    }
    return move;
  });
  return { items };
}

function frameOfKey(key: MoveMap, room: Room, sheet: Sheet): number {
  return keyFrame(key, keyframeWords(sheet.vocabulary, room), sheet.clock, sheet.vocabulary) ?? 0;
}

function startOf(move: MoveMap, words: MoveWords, room: Room, sheet: Sheet): number {
  const keys = keysOf(move, room, sheet.vocabulary);
  if (keys) return Math.min(...keys.map((key) => frameOfKey(key, room, sheet)));
  return spanFrames(spanText(move, words), sheet.clock, sheet.vocabulary)?.start ?? 0;
}

/**
 * Pastes with the earliest at `frame`. What comes from one target goes to `onto` where that is of its kind; keys replace
 * those that they fall on. What does not fit before the end is left out, and counted.
 */
export function pasted(shot: ShotData, clip: Clip, frame: number, onto: string | null, sheet: Sheet): Edited & { left: number } {
  if (!clip.items.length) return { shot, refs: [], left: 0 };
  const first = Math.min(...clip.items.map((item) => item.frame));
  const one = new Set(clip.items.map((item) => item.target)).size === 1;
  const last = lastFrame(sheet.clock);
  let [next, left] = [shot, 0];
  const refs: Ref[] = [];
  for (const item of clip.items) {
    const target = one && onto !== null && roomOf(onto) === roomOf(item.target) ? onto : item.target;
    const shift = frame - first;
    if (item.frame + shift > last + 1e-9) {
      left++;
      continue;
    }
    const made = item.key
      ? withKey(next, target, keyAt(item.key, item.frame + shift, keyframeWords(sheet.vocabulary, roomOf(target)), sheet), sheet)
      : withWhole(next, target, item.whole as MoveMap, shift, sheet);
    next = made.shot;
    refs.push(made.ref);
  }
  return { shot: next, refs, left };
}

/** Adds a keyframe to the target's list, which is made where there is none; one on the same frame is replaced. */
function withKey(shot: ShotData, target: string, key: MoveMap, sheet: Sheet): { shot: ShotData; ref: Ref } {
  const room = roomOf(target);
  const moves = movesOf(shot, target, sheet.vocabulary);
  const at = moves.findIndex((move) => keysOf(move, room, sheet.vocabulary) !== null);
  if (at < 0) {
    return { shot: withMoves(shot, target, [...moves, { keyframes: [key] }]), ref: { target, move: moves.length, key: 0 } };
  }
  const move = moves[at] as MoveMap;
  const frame = frameOfKey(key, room, sheet);
  const others = (keysOf(move, room, sheet.vocabulary) ?? []).filter(
    (each) => Math.abs(frameOfKey(each, room, sheet) - frame) > 1e-3,
  );
  const next = moves.with(at, withKeys(move, [...others, key], room, sheet.vocabulary));
  return { shot: withMoves(shot, target, next), ref: { target, move: at, key: others.length } };
}

function withWhole(shot: ShotData, target: string, move: MoveMap, shift: number, sheet: Sheet): { shot: ShotData; ref: Ref } {
  const room = roomOf(target);
  const moves = movesOf(shot, target, sheet.vocabulary);
  const words = headOf(move, room, sheet.vocabulary)?.move;
  const last = lastFrame(sheet.clock);
  const place = (frame: number) => Math.min(frame + shift, last);
  const copy = words ? moveRetimed(structuredClone(move), words, place, room, sheet) : move;
  return { shot: withMoves(shot, target, [...moves, copy]), ref: { target, move: moves.length, key: null } };
}

/** The largest part of a shift with which everything stays inside the shot. */
function withinShot(shot: ShotData, refs: Ref[], by: number, sheet: Sheet): number {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  eachMove(shot, refs, sheet, (move, words, own, at) => {
    const keys = keysOf(move, at.room, sheet.vocabulary);
    const frames = (keys ?? []).map((key) => frameOfKey(key, at.room, sheet));
    const whole = own.some((ref) => ref.key === null);
    const span = whole && !keys ? spanFrames(spanText(move, words), sheet.clock, sheet.vocabulary) : null;
    const all = [
      ...(span ? [span.start, span.end] : []),
      ...(whole ? frames : own.flatMap((ref) => frames[ref.key as number] ?? [])),
    ];
    low = Math.min(low, ...all);
    high = Math.max(high, ...all);
    return move;
  });
  if (low > high) return 0;
  return Math.min(Math.max(by, -low), lastFrame(sheet.clock) - high);
}

interface At {
  target: string;
  index: number;
  room: Room;
}

/** Runs an edit over the moves that are referred to; null takes a move out. */
export function eachMove(
  shot: ShotData,
  refs: Ref[],
  sheet: Sheet,
  edit: (move: MoveMap, words: MoveWords, own: Ref[], at: At) => MoveMap | null,
): ShotData {
  let next = shot;
  for (const target of new Set(refs.map((ref) => ref.target))) {
    const room = roomOf(target);
    const moves = movesOf(shot, target, sheet.vocabulary);
    const edited = moves.map((move, index) => {
      const own = refs.filter((ref) => ref.target === target && ref.move === index);
      const words = headOf(move, room, sheet.vocabulary)?.move;
      return own.length && words ? edit(move, words, own, { target, index, room }) : move;
    });
    next = withMoves(next, target, edited.filter((move) => move !== null));
  }
  return next;
}

/** Every key and move of the shot, for an edit of all of it. */
export function allRefs(shot: ShotData, sheet: Sheet): Ref[] {
  const targets = ["", ...Object.keys(shot.entities ?? {})];
  return targets.flatMap((target) => movesOf(shot, target, sheet.vocabulary).map((_, move) => ({ target, move, key: null })));
}

/** The shot with another length. `stretch` takes all times along; else they stay on their frames, if they fit. */
export function withLength(shot: ShotData, frames: number, stretch: boolean, sheet: Sheet): ShotData {
  if (!stretch) return { ...shot, frames };
  const factor = (frames - 1) / Math.max(lastFrame(sheet.clock), 1);
  const later = { ...sheet, later: { ...sheet.clock, frames } };
  const scaled = retimed(shot, allRefs(shot, sheet), (frame) => Math.round(frame * factor), later);
  return { ...scaled.shot, frames };
}

/** The nearest numbers of frames that a video model takes: 4k + 1. */
export const nearestLengths = (frames: number): [number, number] => {
  const below = Math.max(Math.floor((frames - 1) / 4) * 4 + 1, 1);
  return [below, frames === below ? below : below + 4];
};
