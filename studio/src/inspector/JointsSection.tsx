import { useState } from "preact/hooks";
import { keepDraft, shot, tryEdit } from "../live.ts";
import type { Listed } from "../scene.ts";
import { type MoveMap, movesOf, withMoves } from "../shot/moves.ts";
import type { ShotData } from "../types.ts";
import { vocabulary } from "../words.ts";

const BEND = /^(.*?)\s+(-?[\d.]+)\s*(deg)?$/;
const GOINGS = ["forward", "sideways", "twist"] as const;
type Going = (typeof GOINGS)[number];

/** The joint and the degrees of a bend move, as written; null for another move. */
function bendOf(move: MoveMap): { joint: string; degrees: number; going: Going } | null {
  const found = typeof move.bend === "string" ? BEND.exec(move.bend) : null;
  return found ? { joint: found[1] as string, degrees: Number(found[2]), going: (move.going as Going | undefined) ?? "forward" } : null;
}

const isBend = (move: MoveMap, joint: string, going: Going) => {
  const found = bendOf(move);
  return found?.joint === joint && found.going === going;
};

/** A slider a joint; it writes a `bend` move, whose time and easing are set in the timeline. */
export function JointsSection({ one }: { one: Listed }) {
  const [going, setGoing] = useState<Going>("forward");
  const words = vocabulary.value;
  if (!words || !one.data?.joints.length) return null;
  const moves = movesOf(shot.value, one.name, words);
  const bent = (now: ShotData, joint: string, degrees: number): ShotData => {
    const own = movesOf(now, one.name, words);
    const text = `${joint} ${degrees} deg`;
    const at = own.findIndex((move) => isBend(move, joint, going));
    const added: MoveMap = going === "forward" ? { bend: text } : { bend: text, going };
    const next = at < 0 ? [...own, added] : degrees === 0 ? own.filter((_, index) => index !== at) : own.map((move, index) => (index === at ? { ...move, bend: text } : move));
    return withMoves(now, one.name, next);
  };
  return (
    <section class="section" aria-label="Joints">
      <h3>
        Joints
        <select aria-label="Way that joints bend" value={going} onChange={(event) => setGoing(event.currentTarget.value as Going)}>
          {GOINGS.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </h3>
      {one.data.joints.map((joint) => {
        const degrees = moves.map(bendOf).find((each) => each?.joint === joint && each.going === going)?.degrees ?? 0;
        return (
          <label class="joint" key={joint}>
            <span class="cut dim">{joint}</span>
            <input
              type="range"
              min="-150"
              max="150"
              step="1"
              aria-label={`Bend ${joint}`}
              value={degrees}
              onInput={(event) => {
                const value = Number(event.currentTarget.value);
                tryEdit((now) => bent(now, joint, value));
              }}
              onChange={() => void keepDraft(`Bend ${joint} of ${one.name}`)}
            />
            <span class="number">{degrees}°</span>
          </label>
        );
      })}
    </section>
  );
}
