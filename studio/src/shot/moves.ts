/**
 * Moves of a shot as mappings, whichever way they were written: `{ orbit: "30 deg", frames: "10-40" }` or
 * "orbit 30 deg frames 10-40". What is not changed keeps its words; values that stood as text stay text.
 */

import type { MoveData, ShotData } from "../types.ts";
import { splitList, splitOutside, tokens, unquoted } from "./text.ts";
import type { MoveWords, Room, SettingWords, VocabularyData } from "./vocabulary.ts";
import { findMove, findSetting, keyframeWords, mainSetting, namedSetting, roomOf } from "./vocabulary.ts";

/** A move or keyframe by its words; the values of `keyframes` are lists of such mappings. */
export type MoveMap = Record<string, unknown>;

/** All moves of a target ("" is the camera), one mapping each. */
export function movesOf(shot: ShotData, target: string, vocabulary: VocabularyData): MoveMap[] {
  const given: unknown = target === "" ? shot.camera : shot.entities?.[target];
  if (given === undefined || given === null) return [];
  const items = (Array.isArray(given) ? given : [given]) as MoveData[];
  return items.flatMap((item) => asMaps(item, roomOf(target), vocabulary));
}

/** The shot with other moves of one target; nothing else is touched. */
export function withMoves(shot: ShotData, target: string, moves: MoveMap[]): ShotData {
  const items: MoveData[] = moves.map(shortest);
  if (target === "") return { ...shot, camera: items };
  const entities = { ...shot.entities, [target]: items };
  if (items.length === 0) delete entities[target];
  return { ...shot, entities };
}

/** A move without any value is its bare name. */
function shortest(move: MoveMap): MoveData {
  const [first, ...rest] = Object.entries(move);
  return first && rest.length === 0 && (first[1] === null || first[1] === "") ? first[0] : move;
}

function asMaps(item: MoveData, room: Room, vocabulary: VocabularyData): MoveMap[] {
  if (typeof item !== "string") return [withKeyLists(item, room, vocabulary)];
  const parts = splitOutside(item, ";,").map((part) => part.trim());
  return parts.filter(Boolean).map((part) => lineAsMap(part, room, vocabulary));
}

/** "orbit 30 deg around car" as a mapping. */
function lineAsMap(line: string, room: Room, vocabulary: VocabularyData): MoveMap {
  const [name = "", ...rest] = tokens(line);
  const move = findMove(vocabulary, room, name);
  if (!move) return { [name]: rest.join(" ") || null };
  const { main, settings } = lineWords(rest, move, vocabulary);
  const directions = rest.filter((word) => vocabulary.valueWords.includes(word.toLowerCase()));
  const isDirection = room === "entity" && vocabulary.valueWords.includes(name.toLowerCase());
  const head = isDirection && directions.length ? { [move.name]: `${name} ${main}` } : { [name]: main || null };
  return withKeyLists({ ...head, ...settings }, room, vocabulary);
}

/** Main value and settings of a line's words; a word that names a setting starts it, a bare easing sets the easing. */
function lineWords(words: string[], move: MoveWords, vocabulary: VocabularyData): { main: string; settings: MoveMap } {
  const settings: Record<string, string> = {};
  const main: string[] = [];
  let current = "";
  for (const word of words) {
    const low = word.toLowerCase();
    if (startsEasing(low, vocabulary) && current !== "easing" && namedSetting(move, "easing")) {
      settings["easing"] = low;
      current = low === "bezier" ? "easing" : current;
    } else if (findSetting(move, low)) {
      current = low;
      settings[low] = "";
    } else if (current) settings[current] = `${settings[current]} ${word}`.trim();
    else main.push(word);
  }
  return { main: main.join(" "), settings };
}

const startsEasing = (word: string, vocabulary: VocabularyData) => word === "bezier" || word.startsWith("bezier(") || vocabulary.easings.includes(word);

/** Keyframes that stand as one text become a list. */
function withKeyLists(move: MoveMap, room: Room, vocabulary: VocabularyData): MoveMap {
  const head = headOf(move, room, vocabulary);
  if (!head || mainSetting(head.move)?.kind !== KEYS_KIND) return move;
  const value = move[head.word];
  if (typeof value !== "string") return move;
  const keys = splitList(value, ";").filter(Boolean);
  const words = keyframeWords(vocabulary, room);
  return { ...move, [head.word]: keys.map((key) => lineWords(tokens(key), words, vocabulary).settings) };
}

export const KEYS_KIND = "a list of keyframes";

export interface Head {
  /** The key of the mapping that names the move. */
  word: string;
  move: MoveWords;
}

/** The word of a mapping that names its move, or null where none does. */
export function headOf(move: MoveMap, room: Room, vocabulary: VocabularyData): Head | null {
  const named = Object.keys(move).map((word) => ({ word, move: findMove(vocabulary, room, word) }));
  const heads = named.filter((each): each is Head => each.move !== undefined);
  const isDirection = (head: Head) => room === "entity" && vocabulary.valueWords.includes(head.word.toLowerCase());
  return heads.find((head) => !isDirection(head)) ?? heads[0] ?? null;
}

/** The text of a value as the shot's reader sees it: lists of values in brackets. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? `(${value.map(valueText).join(", ")})` : String(value).trim();
}

/** The main value of a move; an entity's directions are joined: "forward 2 units, up 1". */
export function mainText(move: MoveMap, room: Room, vocabulary: VocabularyData): string {
  const words = directionsOf(move, room, vocabulary);
  if (words.length) return words.map((word) => `${word} ${valueText(move[word])}`).join(", ");
  const head = headOf(move, room, vocabulary);
  return head ? valueText(move[head.word]) : "";
}

/** The move with another main value. */
export function withMain(move: MoveMap, text: string, room: Room, vocabulary: VocabularyData): MoveMap {
  const head = headOf(move, room, vocabulary);
  if (!head) return move;
  const directions = directionsOf(move, room, vocabulary);
  if (!directions.length) return { ...move, [head.word]: text || null };
  const rest = Object.entries(move).filter(([word]) => !directions.includes(word));
  return { ...directionMap(text, head.move.name, vocabulary), ...Object.fromEntries(rest) };
}

function directionsOf(move: MoveMap, room: Room, vocabulary: VocabularyData): string[] {
  if (room !== "entity") return [];
  return Object.keys(move).filter((word) => vocabulary.valueWords.includes(word.toLowerCase()));
}

/** One direction keeps its own word; more of them, and vectors, are a `move`. */
function directionMap(text: string, name: string, vocabulary: VocabularyData): MoveMap {
  const parts = splitList(text).map((part) => tokens(part));
  const [only] = parts;
  const direct = parts.length === 1 && only && vocabulary.valueWords.includes((only[0] ?? "").toLowerCase());
  return direct ? { [only[0] as string]: only.slice(1).join(" ") } : { [name]: text };
}

/** What was written for a setting: its word, and the value with what the word puts before it; null where nothing was. */
export function writtenSetting(move: MoveMap, item: SettingWords): { word: string; text: string } | null {
  for (const [word, value] of Object.entries(move)) {
    const prefix = item.words[word];
    if (prefix === undefined && (word !== item.name || item.main)) continue;
    return { word, text: `${prefix ?? ""}${valueText(value)}` };
  }
  return null;
}

/** The move with a setting written anew under `word`, or without it where `text` is null. */
export function withSetting(move: MoveMap, item: SettingWords, text: string | null, word = item.name): MoveMap {
  const old = writtenSetting(move, item);
  if (text === null) return Object.fromEntries(Object.entries(move).filter(([key]) => key !== old?.word));
  if (old?.word === word || old === null) return { ...move, [word]: text };
  return Object.fromEntries(Object.entries(move).map(([key, value]) => (key === old.word ? [word, text] : [key, value])));
}

/** The keyframes of a move, or null where it has none. */
export function keysOf(move: MoveMap, room: Room, vocabulary: VocabularyData): MoveMap[] | null {
  const head = headOf(move, room, vocabulary);
  if (!head || mainSetting(head.move)?.kind !== KEYS_KIND) return null;
  const keys = move[head.word];
  return Array.isArray(keys) ? (keys as MoveMap[]) : [];
}

export function withKeys(move: MoveMap, keys: MoveMap[], room: Room, vocabulary: VocabularyData): MoveMap {
  const head = headOf(move, room, vocabulary);
  return head ? { ...move, [head.word]: keys } : move;
}

/** A name as it stands in a shot file: in quotes where it holds a word of its own meaning. */
export const nameOf = (text: string): string => unquoted(text);
