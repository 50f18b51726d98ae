/** The horizon and the pairs of lines over the photo, with handles at their ends. */

import { useRef } from "preact/hooks";
import { fromFile, toFile, toPhoto, toScreen, type Xy } from "./frame.ts";
import { type Direction, type Ends, horizon, keepSolved, pairs, solve } from "./lens.ts";
import { frame_, photoSize, stageSize } from "./sight.ts";

const DIRECTIONS: Direction[] = ["upright", "level", "across"];

export function LensLines() {
  if (!frame_.value) return null;
  return (
    <svg class="lens-lines" aria-label="Lines that tell the camera">
      {DIRECTIONS.map((direction) =>
        pairs.value[direction]?.map((ends, k) => (
          <Line key={`${direction}${k}`} kind={direction} label={`${direction} line ${k + 1}`} ends={ends} move={(moved) => movePair(direction, k, moved)} />
        )),
      )}
      {horizon.value && <Line kind="horizon" label="horizon" ends={horizon.value} move={(moved) => (horizon.value = moved)} />}
    </svg>
  );
}

function movePair(direction: Direction, index: number, moved: Ends): void {
  const pair = pairs.value[direction];
  if (!pair) return;
  pairs.value = { ...pairs.value, [direction]: pair.map((ends, k) => (k === index ? moved : ends)) as [Ends, Ends] };
}

function Line({ kind, label, ends, move }: { kind: string; label: string; ends: Ends; move: (ends: Ends) => void }) {
  const frame = frame_.value;
  if (!frame) return null;
  const { shrink } = photoSize();
  const at = ends.map((point) => toScreen(frame, fromFile(point, shrink))) as Ends;
  const [from, to] = kind === "horizon" ? across(at) : at;
  return (
    <g>
      <line class={kind} x1={from[0]} y1={from[1]} x2={to[0]} y2={to[1]} />
      {kind === "horizon" && (
        <text x={at[1][0]} y={at[1][1] - 12} text-anchor="middle">
          Horizon
        </text>
      )}
      {at.map((point, k) => (
        <Handle key={k} label={`${label}, end ${k + 1}`} at={point} move={(moved) => move(ends.map((each, j) => (j === k ? moved : each)) as Ends)} />
      ))}
    </g>
  );
}

/** The line through two points from one side of the stage to the other. */
function across([[x0, y0], [x1, y1]]: Ends): Ends {
  const slope = Math.abs(x1 - x0) < 1 ? 0 : (y1 - y0) / (x1 - x0);
  const { width } = stageSize.value;
  return [[0, y0 - slope * x0], [width, y0 + slope * (width - x0)]];
}

function Handle({ label, at: [x, y], move }: { label: string; at: Xy; move: (at: Xy) => void }) {
  const dragged = useRef(false);
  const file = (event: PointerEvent): Xy | null => {
    const stage = (event.currentTarget as Element).closest(".stage")?.getBoundingClientRect();
    const frame = frame_.value;
    if (!stage || !frame) return null;
    return toFile(toPhoto(frame, [event.clientX - stage.left, event.clientY - stage.top]), photoSize().shrink);
  };
  return (
    <circle
      data-handle
      aria-label={label}
      cx={x}
      cy={y}
      r={8}
      onPointerDown={(event) => {
        event.stopPropagation();
        event.currentTarget.setPointerCapture(event.pointerId);
        dragged.current = true;
      }}
      onPointerMove={(event) => {
        const moved = dragged.current ? file(event) : null;
        if (!moved) return;
        move(moved);
        void solve();
      }}
      onPointerUp={() => {
        if (dragged.current) void keepSolved();
        dragged.current = false;
      }}
    />
  );
}
