/** Edits of one move of the shot, tried live or saved at once. */

import { keepDraft, tryEdit } from "../live.ts";
import { type MoveMap, movesOf, withMain, withMoves, withSetting } from "../shot/moves.ts";
import { findMove, roomOf, type SettingWords, type VocabularyData } from "../shot/vocabulary.ts";
import { saveShot } from "../state.ts";
import type { ShotData } from "../types.ts";

/** Where a move stands. */
export interface At {
  target: string;
  index: number;
  vocabulary: VocabularyData;
}

const changed = (at: At, edit: (move: MoveMap) => MoveMap | null) => (shot: ShotData): ShotData => {
  const moves = movesOf(shot, at.target, at.vocabulary);
  const next = moves.map((move, index) => (index === at.index ? edit(move) : move)).filter((move) => move !== null);
  return withMoves(shot, at.target, next);
};

/** The move with a value of one of its settings; null is the default. */
export function withValue(move: MoveMap, item: SettingWords, text: string | null, at: At): MoveMap {
  if (item.main) return withMain(move, text ?? "", roomOf(at.target), at.vocabulary);
  return withSetting(move, item, text === item.default ? null : text);
}

export const tryValue = (at: At, item: SettingWords, text: string | null): void =>
  tryEdit(changed(at, (move) => withValue(move, item, text, at)));

export const keepTried = (label: string): Promise<boolean> => keepDraft(label);

export const saveValue = (at: At, label: string, item: SettingWords, text: string | null): void =>
  void saveShot(label, changed(at, (move) => withValue(move, item, text, at)));

export const saveMove = (at: At, label: string, edit: (move: MoveMap) => MoveMap | null): void =>
  void saveShot(label, changed(at, edit));

export const tryMove = (at: At, edit: (move: MoveMap) => MoveMap | null): void => tryEdit(changed(at, edit));

/** Adds a move to the end of the target's list. */
export function addMove(target: string, move: MoveMap, vocabulary: VocabularyData): void {
  const [name = "move"] = Object.keys(move);
  const label = findMove(vocabulary, roomOf(target), name)?.name ?? name;
  void saveShot(`Add ${label}`, (shot) => withMoves(shot, target, [...movesOf(shot, target, vocabulary), move]));
}
