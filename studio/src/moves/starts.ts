/** What a move is written with when it is added: values to see something by, from the kinds of its settings. */

import type { MoveMap } from "../shot/moves.ts";
import { KEYS_KIND } from "../shot/moves.ts";
import { readQuantity } from "../shot/quantities.ts";
import type { MoveWords, SettingWords, VocabularyData } from "../shot/vocabulary.ts";
import { STARTS } from "./sliders.ts";

export interface Around {
  target: string;
  /** Names of the scene's entities. */
  names: string[];
  joints: string[];
  frame: number;
  last: number;
  vocabulary: VocabularyData;
}

/** Moves that can be added: not keyframes, which the timeline makes, nor what reads a file or bends what has no joints. */
export function addable(move: MoveWords, around: Around): boolean {
  const kinds = move.settings.filter((item) => item.required || item.main).map((item) => item.kind);
  return !move.readsFile && kinds.every((kind) => kind !== KEYS_KIND && startable(kind, around));
}

const startable = (kind: string, around: Around) => {
  const others = around.names.filter((name) => name !== around.target);
  if (kind === "an entity or a point") return around.names.length > 0;
  if (kind === "a joint and an angle") return around.joints.length > 0;
  return kind !== "the name of an object" || others.length > 0;
};

export function startOf(move: MoveWords, around: Around): MoveMap {
  const made: MoveMap = { [move.name]: null };
  for (const item of move.settings) {
    if (item.main) made[move.name] = startText(item, around) || null;
    else if (item.required) made[item.name] = startText(item, around);
  }
  return made;
}

function startText(item: SettingWords, around: Around): string {
  const usual = item.default === null ? null : readQuantity(item.default);
  if (usual && usual.number !== 0) return item.default as string;
  const other = around.names.find((name) => name !== around.target) ?? "";
  const texts: Record<string, string> = {
    "an entity or a point": around.target === "" ? (around.names[0] ?? "") : other,
    "the name of an object": item.choices[0] ?? other,
    "a displacement": item.main ? `${around.vocabulary.directions[0]} 100%` : "right 100%",
    "a joint and an angle": `${around.joints[0]} 30 deg`,
    "a name": newName(around),
    "a span of time": `frames ${Math.min(around.frame, around.last - 1)}-${around.last}`,
  };
  return texts[item.kind] ?? STARTS[item.kind] ?? item.default ?? "";
}

function newName({ target, names }: Around): string {
  for (let number = 2; ; number++) if (!names.includes(`${target} ${number}`)) return `${target} ${number}`;
}
