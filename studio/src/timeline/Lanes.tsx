import type { FrameSpan } from "../shot/times.ts";
import type { KeyMark, Ref, Row } from "../shot/tracks.ts";
import { followPointer } from "../ui/drag.ts";
import { giveUp, isPicked, pick, picked, pickedName, settle, snapping, tryMoved, trySpan } from "./picking.ts";
import { perFrame, xOf } from "./scale.ts";

/** Frames of a drag, whole where keys snap. */
const frames = (pixels: number): number => {
  const by = pixels / perFrame.value;
  return snapping.value ? Math.round(by) : Math.round(by * 100) / 100;
};

/** A press on keys or bars: a click picks them, a drag moves all that is picked. */
function grasp(event: PointerEvent, refs: Ref[]): void {
  if (event.button !== 0) return;
  event.stopPropagation();
  const add = event.shiftKey || event.ctrlKey || event.metaKey;
  const already = isPicked(refs);
  if (!already || add) pick(refs, add);
  const held = picked.value;
  const name = pickedName(held);
  let by = 0;
  followPointer(event, {
    move: (dx) => {
      const next = frames(dx);
      if (next === by) return;
      by = next;
      tryMoved(held, by);
    },
    end: (moved) => {
      if (moved && by !== 0) void settle(`Move ${name}`);
      else if (moved) giveUp(held);
      else if (already && !add) pick(refs);
    },
    cancel: () => giveUp(held),
  });
}

/** The end of a bar is dragged. */
function stretchBar(event: PointerEvent, row: Row, side: keyof FrameSpan): void {
  if (event.button !== 0 || !row.span) return;
  event.stopPropagation();
  const ref: Ref = { target: row.target, move: row.move, key: null };
  const from = row.span;
  pick([ref]);
  followPointer(event, {
    move: (dx) => {
      const at = from[side] + dx / perFrame.value;
      const to = snapping.value ? Math.round(at) : Math.round(at * 100) / 100;
      trySpan(ref, { ...from, [side]: side === "start" ? Math.min(to, from.end - 1) : Math.max(to, from.start + 1) });
    },
    end: (moved) => {
      if (moved) void settle(`Span of ${row.name}`);
    },
    cancel: () => giveUp([ref]),
  });
}

const refOf = (row: Row, mark: KeyMark): Ref => ({ target: row.target, move: row.move, key: mark.key });

/** All keys of a target in one line; keys on one frame are grasped together. */
export function SummaryLane({ rows }: { rows: Row[] }) {
  const byFrame = new Map<number, { frame: number; refs: Ref[]; photo: boolean }>();
  for (const row of rows) {
    for (const mark of row.keys ?? []) {
      const at = Math.round(mark.frame * 100);
      const found = byFrame.get(at) ?? { frame: mark.frame, refs: [], photo: true };
      found.refs.push(refOf(row, mark));
      byFrame.set(at, { ...found, photo: found.photo && mark.key < 0 });
    }
  }
  return (
    <div class="tl-lane">
      {rows.map((row) => row.span && <div key={row.move} class="tl-shadow" style={place(row.span)} />)}
      {[...byFrame.values()].map((each) => (
        <Diamond key={each.frame} frame={each.frame} refs={each.refs} photo={each.photo} />
      ))}
    </div>
  );
}

const place = (span: FrameSpan) => ({ left: `${xOf(span.start)}px`, width: `${Math.max(xOf(span.end) - xOf(span.start), 4)}px` });

export function MoveRow({ row }: { row: Row }) {
  const whole: Ref = { target: row.target, move: row.move, key: null };
  return (
    <div class="tl-row tl-move">
      <div class="tl-name">
        <button type="button" class={`quiet tl-label ${isPicked([whole]) ? "is-picked" : ""}`} onClick={(event) => pick([whole], event.shiftKey)}>
          <span>{row.name}</span>
          <span class="dim cut">{row.keys ? `${row.keys.filter((mark) => mark.key >= 0).length}` : row.value}</span>
        </button>
      </div>
      <div class="tl-lane">
        {row.keys && <Ways row={row} />}
        {row.span && <Bar row={row} refs={[whole]} />}
        {row.keys?.map((mark) => (
          <Diamond key={mark.key} frame={mark.frame} refs={[refOf(row, mark)]} photo={mark.key < 0} easing={mark.easing} />
        ))}
        {!row.keys && !row.span && <span class="tl-still dim">the whole shot</span>}
      </div>
    </div>
  );
}

function Bar({ row, refs }: { row: Row; refs: Ref[] }) {
  if (!row.span) return null;
  return (
    <div
      class={`tl-bar-span ${isPicked(refs) ? "is-picked" : ""}`}
      data-refs={JSON.stringify(refs)}
      data-span={`${row.span.start}-${row.span.end}`}
      title={`${row.name} ${row.value}: frames ${short(row.span.start)}–${short(row.span.end)}${row.easing ? `, ${row.easing}` : ""}`}
      style={place(row.span)}
      onPointerDown={(event) => grasp(event, refs)}
    >
      <i class="tl-end is-start" onPointerDown={(event) => stretchBar(event, row, "start")} />
      <span class="cut">
        {row.name} {row.value}
      </span>
      <i class="tl-end is-end" onPointerDown={(event) => stretchBar(event, row, "end")} />
    </div>
  );
}

/** The ways between keys: drawn where something changes, dashed where it jumps. */
function Ways({ row }: { row: Row }) {
  const marks = row.keys ?? [];
  return (
    <>
      {marks.slice(1).map((mark, index) => {
        const before = marks[index] as KeyMark;
        return <div key={mark.key} class={`tl-way ${before.easing === "hold" ? "is-hold" : ""}`} style={place({ start: before.frame, end: mark.frame })} />;
      })}
    </>
  );
}

interface DiamondProps {
  frame: number;
  refs: Ref[];
  photo: boolean;
  easing?: string;
}

function Diamond({ frame, refs, photo, easing }: DiamondProps) {
  const says = photo ? "the photo's own pose" : `key at frame ${short(frame)}`;
  return (
    <button
      type="button"
      class={`tl-key ${photo ? "is-photo" : ""} ${isPicked(refs) ? "is-picked" : ""} ${shape(easing)}`}
      data-refs={JSON.stringify(refs)}
      data-frame={short(frame)}
      title={easing ? `${says}; ${easing} to the next` : says}
      aria-label={says}
      aria-pressed={isPicked(refs)}
      style={{ left: `${xOf(frame)}px` }}
      onPointerDown={(event) => grasp(event, refs)}
    />
  );
}

/** A key shows whether it is left at once, in an ease or by a jump. */
const shape = (easing?: string) => (easing === "hold" ? "is-square" : easing === "linear" ? "is-sharp" : "");

const short = (frame: number) => String(Math.round(frame * 100) / 100);

