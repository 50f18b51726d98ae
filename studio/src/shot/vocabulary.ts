/** The words of a shot file, as `GET api/vocabulary` tells them (`real2sam2real/studio/vocabulary.py`). */

export interface SettingWords {
  name: string;
  /** Other names, each with what it puts before the value: `frames` puts "frames ". */
  words: Record<string, string>;
  /** True for the value that stands right after the move's name. */
  main: boolean;
  /** Kind of value, such as "an angle". */
  kind: string;
  choices: string[];
  /** Direction words and their signs: `left` is −1. */
  signs: Record<string, number>;
  required: boolean;
  /** As it would be written, or null where there is none; keyframes have no default. */
  default: string | null;
}

export interface MoveWords {
  name: string;
  words: string[];
  help: string;
  /** It reads a file of the server's machine, and comes from the shot file alone. */
  readsFile: boolean;
  settings: SettingWords[];
}

export interface VocabularyData {
  camera: MoveWords[];
  entity: MoveWords[];
  cameraKeyframe: MoveWords;
  entityKeyframe: MoveWords;
  /** Words that name an entity's `move` and belong to its value: `forward`. */
  valueWords: string[];
  directions: string[];
  easings: string[];
  /** By quantity ("angle", "distance", "time", "factor") and unit word: the unit kept, and how many of it one is. */
  units: Record<string, Record<string, [string, number]>>;
}

/** Whose moves: the camera's or an entity's. */
export type Room = "camera" | "entity";

export const roomOf = (target: string): Room => (target === "" ? "camera" : "entity");

/** The move that a word names, or undefined. */
export function findMove(vocabulary: VocabularyData, room: Room, word: string): MoveWords | undefined {
  const low = word.toLowerCase();
  return vocabulary[room].find((move) => move.name === low || move.words.includes(low));
}

export const keyframeWords = (vocabulary: VocabularyData, room: Room): MoveWords =>
  room === "camera" ? vocabulary.cameraKeyframe : vocabulary.entityKeyframe;

/** The setting that a word of a mapping or a line introduces; the main value has its other names alone. */
export function findSetting(move: MoveWords, word: string): SettingWords | undefined {
  return move.settings.find((each) => (each.name === word && !each.main) || word in each.words);
}

export const mainSetting = (move: MoveWords): SettingWords | undefined => move.settings.find((each) => each.main);

export const namedSetting = (move: MoveWords, name: string): SettingWords | undefined =>
  move.settings.find((each) => each.name === name);
