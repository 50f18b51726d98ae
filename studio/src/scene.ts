/** The entities that a person can direct: those of the scene, the shot's copies of them, and what the shot removed. */

import { computed } from "@preact/signals";
import { shot } from "./live.ts";
import { movesOf } from "./shot/moves.ts";
import { document_, motion } from "./state.ts";
import type { EntityData } from "./types.ts";
import { vocabulary } from "./words.ts";

export interface Listed {
  name: string;
  color: string;
  /** Null for a copy. */
  data: EntityData | null;
  copyOf: string | null;
  removed: boolean;
  /** Hidden by the shot in the whole of it. */
  hidden: boolean;
  /** What it goes along with. */
  carrier: string | null;
}

/** Colour of an entity's copies: a lighter tone of its own. */
const lighter = (color: string): string => {
  const code = Number.parseInt(color.slice(1), 16);
  const parts = [code >> 16, (code >> 8) & 255, code & 255].map((part) => Math.round(part + (255 - part) * 0.4));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
};

const HIDE_ALL = /^(frames )?0\s*-\s*$|^0%\s*-\s*100%$/;

export const listed = computed<Listed[]>(() => {
  const scene = document_.value?.scene;
  if (!scene) return [];
  const there = motion.value?.entities ?? [];
  const own = scene.entities.map((data) => ({ name: data.name, color: data.color, data, copyOf: data.copyOf, carrier: carrierOf(data) }));
  const copies = there
    .filter((one) => one.copyOf !== null && !scene.entities.some((each) => each.name === one.name))
    .map((one) => ({ name: one.name, color: lighter(own.find((each) => each.name === one.copyOf)?.color ?? "#9a9a9a"), data: null, copyOf: one.copyOf, carrier: null }));
  return [...own, ...copies].map((one) => ({
    ...one,
    removed: motion.value !== null && !there.some((each) => each.name === one.name),
    hidden: hideMoves(one.name).length > 0,
  }));
});

function carrierOf(data: EntityData): string | null {
  const words = vocabulary.value;
  const said = words ? movesOf(shot.value, data.name, words).find((move) => "on" in move || "with" in move || "floating" in move) : undefined;
  if (said) return "floating" in said ? null : (said.on as string | undefined) ?? (said.with as string);
  return data.relation && data.relation.word !== "floating" ? data.relation.to : null;
}

/** Numbers of the moves that hide an entity from the first frame to the last. */
export function hideMoves(name: string): number[] {
  const words = vocabulary.value;
  if (!words) return [];
  return movesOf(shot.value, name, words).flatMap((move, index) => {
    const span = "hide" in move ? String(move.hide ?? move.frames ?? "") : null;
    return span !== null && HIDE_ALL.test(span.trim()) ? [index] : [];
  });
}

export const colorOf = (name: string): string => listed.value.find((one) => one.name === name)?.color ?? "#9a9a9a";

/** A name that nothing has yet: "cup 2". */
export function freshName(of: string): string {
  const stem = of.replace(/ \d+$/, "");
  for (let number = 2; ; number++) {
    const name = `${stem} ${number}`;
    if (!listed.value.some((one) => one.name === name)) return name;
  }
}
