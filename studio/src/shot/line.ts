/** A move as one line of text, in the words of a shot file; what `movesOf` reads back. */

import type { MoveMap } from "./moves.ts";

/** "orbit 30 deg around car frames 10-40". */
export function moveLine(move: MoveMap): string {
  return Object.entries(move)
    .map(([word, value]) => `${word} ${valueLine(value)}`.trim())
    .join(" ");
}

function valueLine(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (!Array.isArray(value)) return typeof value === "object" ? `(${moveLine(value as MoveMap)})` : String(value);
  const keys = value.every((item) => item !== null && typeof item === "object" && !Array.isArray(item));
  if (keys && value.length) return `(${value.map((item) => moveLine(item as MoveMap)).join("; ")})`;
  return `(${value.map(valueLine).join(", ")})`;
}
