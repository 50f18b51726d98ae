/** Edits of the inspector: refused ones say why beside the field, and leave what was typed. */

import { Problem } from "../api.ts";
import { type MoveMap, movesOf, withMoves } from "../shot/moves.ts";
import { document_, inTurn, tell, workspace } from "../state.ts";
import type { MoveData, ShotData } from "../types.ts";
import { vocabulary } from "../words.ts";

/** Saves a changed shot; gives the server's refusal, or null. */
export function saveOrSay(label: string, change: (shot: ShotData) => ShotData): Promise<string | null> {
  return inTurn(async () => {
    const [at, now] = [workspace.value, document_.value];
    if (!at || !now) return null;
    try {
      document_.value = await at.edit(now.revision, label, change(structuredClone(now.shot)));
      return null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 409 && error.document) document_.value = error.document;
      if (error.status !== 422) tell(error.message, "error");
      return error.status === 422 ? error.message : null;
    }
  });
}

/** Saves other moves of an entity, or of the camera (""). */
export function saveMoves(label: string, name: string, change: (moves: MoveMap[]) => (MoveMap | string)[]): Promise<string | null> {
  return saveOrSay(label, (shot) => {
    const words = vocabulary.peek();
    if (!words) return shot;
    const moves = change(movesOf(shot, name, words));
    if (moves.every((move) => typeof move !== "string")) return withMoves(shot, name, moves as MoveMap[]);
    if (name === "") return { ...shot, camera: moves as MoveData[] };
    return { ...shot, entities: { ...shot.entities, [name]: moves as MoveData[] } };
  });
}
