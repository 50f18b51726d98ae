/** What the list of objects changes: words of the shot, or the scene itself (a name). */

import { Problem } from "../api.ts";
import { freshName, hideMoves, type Listed, listed } from "../scene.ts";
import { type MoveMap, movesOf, withMoves } from "../shot/moves.ts";
import { document_, guarded, inTurn, saveShot, selected, tell, workspace } from "../state.ts";
import type { DocumentData, ShotData } from "../types.ts";
import { vocabulary } from "../words.ts";

type Change = (moves: MoveMap[]) => MoveMap[];

/** The shot with the moves of one entity changed. */
function withChanged(shot: ShotData, name: string, change: Change): ShotData {
  const words = vocabulary.peek();
  return words ? withMoves(shot, name, change(movesOf(shot, name, words))) : shot;
}

const save = (label: string, name: string, change: Change) => saveShot(label, (shot) => withChanged(shot, name, change));

/** Takes an entity out of the shot; a copy is forgotten with all its moves. */
export async function remove(one: Listed): Promise<void> {
  const label = `Delete ${one.name}`;
  const saved = await (one.data === null
    ? saveShot(label, (shot) => withoutCopy(shot, one.name))
    : save(label, one.name, (moves) => [...moves, { remove: null }]));
  if (saved && selected.value === one.name) selected.value = null;
}

function withoutCopy(shot: ShotData, name: string): ShotData {
  const copies = (move: MoveMap) => move.duplicate === name || move.copy === name;
  let next = withChanged(shot, name, () => []);
  for (const each of Object.keys(next.entities ?? {})) next = withChanged(next, each, (moves) => moves.filter((move) => !copies(move)));
  return next;
}

export const restore = (one: Listed) => save(`Restore ${one.name}`, one.name, (moves) => moves.filter((move) => !("remove" in move)));

/** Hides an entity in the whole shot, or shows it again. */
export function toggleHidden(one: Listed): void {
  const hiding = hideMoves(one.name);
  if (hiding.length) void save(`Show ${one.name}`, one.name, (moves) => moves.filter((_, index) => !hiding.includes(index)));
  else void save(`Hide ${one.name}`, one.name, (moves) => [...moves, { hide: "frames 0-" }]);
}

/** Adds a copy beside an entity and selects it. */
export async function duplicate(one: Listed): Promise<void> {
  const name = freshName(one.name);
  const saved = await save(`Duplicate ${one.name}`, one.name, (moves) => [...moves, { duplicate: name, by: "right 110%" }]);
  if (saved) selected.value = name;
}

/** Gives an entity another name; its moves go along. */
export async function rename(one: Listed, to: string): Promise<void> {
  const name = to.trim();
  if (!name || name === one.name) return;
  if (listed.value.some((other) => other.name === name)) return tell(`There is a '${name}' already; choose another name.`, "error");
  const saved = one.data === null ? await saveShot(`Rename ${one.name}`, (shot) => withCopyRenamed(shot, one.name, name)) : await renameInScene(one.name, name);
  if (saved && selected.value === one.name) selected.value = name;
}

function withCopyRenamed(shot: ShotData, from: string, to: string): ShotData {
  const words = (move: MoveMap) => Object.fromEntries(Object.entries(move).map(([word, value]) => [word, /^(duplicate|copy)$/.test(word) && value === from ? to : value]));
  let next = shot;
  for (const each of Object.keys(shot.entities ?? {})) next = withChanged(next, each, (moves) => moves.map(words));
  const entities = Object.fromEntries(Object.entries(next.entities ?? {}).map(([name, moves]) => [name === from ? to : name, moves]));
  return { ...next, entities };
}

const renameInScene = (name: string, to: string) => changeScene({ rename: { name, to } });

/** Changes the scene itself, as one step of undo. */
export function changeScene(change: Record<string, unknown>): Promise<DocumentData | null> {
  return inTurn(() =>
    guarded(async () => {
      const [at, now] = [workspace.value, document_.value];
      if (!at || !now) throw new Problem("No workspace is open.", 0);
      const found = await at.request<DocumentData>("scene", "POST", { base: now.revision, change });
      document_.value = found;
      return found;
    }),
  );
}
