import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { draftProblem } from "../live.ts";
import type { Ref } from "../shot/tracks.ts";
import { document_, frame, motion, selected } from "../state.ts";
import { followPointer } from "../ui/drag.ts";
import { Icon } from "../ui/Icon.tsx";
import { MoveRow, SummaryLane } from "./Lanes.tsx";
import { pick, picked, rows } from "./picking.ts";
import { played } from "./playback.ts";
import { Ruler } from "./Ruler.tsx";
import { laneWidth, NAMES, scrolled, xOf } from "./scale.ts";
import { folded, toggleFold } from "./folding.ts";

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const box = signal<Box | null>(null);

/** Rows of keys and spans, one for the camera and one for each entity, with one below for each of their moves. */
export function DopeSheet() {
  const inside = useRef<HTMLDivElement>(null);
  return (
    <div class="tl-scroll" onScroll={(event) => (scrolled.value = event.currentTarget.scrollLeft)}>
      <div class="tl-inside" ref={inside} style={{ width: `${NAMES + laneWidth.value}px` }} onPointerDown={(event) => inside.current && boxSelect(event, inside.current)}>
        <Ruler />
        {targets().map((target) => (
          <TargetRows key={target} target={target} />
        ))}
        <Overlay />
      </div>
      {draftProblem.value && (
        <p class="tl-problem error-text" role="alert">
          {draftProblem.value}
        </p>
      )}
    </div>
  );
}

/** The camera, the scene's entities, then copies and what else the shot names. */
function targets(): string[] {
  const names = [
    ...(document_.value?.scene?.entities.map((entity) => entity.name) ?? []),
    ...(motion.value?.entities.map((entity) => entity.name) ?? []),
    ...rows.value.keys(),
  ];
  return [...new Set(["", ...names])];
}

function TargetRows({ target }: { target: string }) {
  const own = rows.value.get(target) ?? [];
  const open = !folded.value.includes(target);
  const color = document_.value?.scene?.entities.find((entity) => entity.name === target)?.color;
  return (
    <>
      <div class={`tl-row tl-target ${selected.value === target ? "is-selected" : ""}`} data-target={target}>
        <div class="tl-name">
          <button type="button" class="icon quiet tl-fold" aria-expanded={open} aria-label={`${open ? "Fold" : "Unfold"} ${target || "camera"}`} disabled={own.length === 0} onClick={() => toggleFold(target)}>
            <Icon name={open ? "down" : "chevron"} />
          </button>
          <button type="button" class="quiet tl-label" onClick={() => (selected.value = target)}>
            {target === "" ? <Icon name="camera" /> : <i class="tl-dot" style={{ background: color ?? "var(--faint)" }} />}
            <span class="cut">{target || "Camera"}</span>
          </button>
        </div>
        <SummaryLane rows={own} />
      </div>
      {open && own.map((row) => <MoveRow key={row.move} row={row} />)}
    </>
  );
}

/** What lies over the lanes: the playhead, what is outside the marks, the box of a selection. */
function Overlay() {
  const { start, end } = played.value;
  const last = (motion.value?.frames ?? 1) - 1;
  return (
    <div class="tl-over" style={{ left: `${NAMES}px`, width: `${laneWidth.value}px` }}>
      {start > 0 && <div class="tl-outside" style={{ left: 0, width: `${xOf(start)}px` }} />}
      {end < last && <div class="tl-outside" style={{ left: `${xOf(end)}px`, right: 0 }} />}
      <Playhead />
      <SelectionBox />
    </div>
  );
}

/** Alone, so that playing redraws this line and nothing else. */
function Playhead() {
  return <div class="tl-playhead" style={{ transform: `translateX(${xOf(frame.value)}px)` }} />;
}

function SelectionBox() {
  const at = box.value;
  return at && <div class="tl-box" style={{ left: `${at.left - NAMES}px`, top: `${at.top}px`, width: `${at.width}px`, height: `${at.height}px` }} />;
}

/** A press on free ground: a drag picks what the box touches, a click picks nothing. */
function boxSelect(event: PointerEvent, inside: HTMLElement): void {
  if (event.button !== 0 || !(event.target instanceof HTMLElement) || !event.target.closest(".tl-lane")) return;
  const origin = inside.getBoundingClientRect();
  const before = event.shiftKey ? picked.value : [];
  const [x, y] = [event.clientX - origin.left, event.clientY - origin.top];
  followPointer(event, {
    move: (_dx, _dy, now) => {
      const to = inside.getBoundingClientRect();
      const [x2, y2] = [now.clientX - to.left, now.clientY - to.top];
      box.value = { left: Math.min(x, x2), top: Math.min(y, y2), width: Math.abs(x2 - x), height: Math.abs(y2 - y) };
      pick([...before, ...touched(inside, box.value)]);
    },
    end: (moved) => {
      box.value = null;
      if (!moved && !event.shiftKey) pick([]);
    },
    cancel: () => {
      box.value = null;
      pick(before);
    },
  });
}

function touched(inside: HTMLElement, area: Box): Ref[] {
  const origin = inside.getBoundingClientRect();
  const found = new Map<string, Ref>();
  for (const element of inside.querySelectorAll<HTMLElement>("[data-refs]")) {
    const at = element.getBoundingClientRect();
    const [left, top] = [at.left - origin.left, at.top - origin.top];
    const apart = left > area.left + area.width || left + at.width < area.left || top > area.top + area.height || top + at.height < area.top;
    if (apart) continue;
    for (const ref of JSON.parse(element.dataset["refs"] ?? "[]") as Ref[]) found.set(JSON.stringify(ref), ref);
  }
  return [...found.values()];
}
