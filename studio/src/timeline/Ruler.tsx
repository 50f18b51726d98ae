import { computed } from "@preact/signals";
import { frame, motion, playing } from "../state.ts";
import { followPointer } from "../ui/drag.ts";
import { giveUp, picked, pickedName, pickedSpan, settle, tryMoved, tryStretched } from "./picking.ts";
import { marks, setMark } from "./playback.ts";
import { frameAt, labelStep, laneWidth, last, perFrame, room, scrolled, xOf } from "./scale.ts";

/** Pixels that a label takes; where there are fewer behind a frame, its label stands before it. */
const LABEL_WIDTH = 28;

/** Frames that have a label and are in sight. */
const labels = computed(() => {
  const step = labelStep(perFrame.value);
  const first = Math.max(Math.floor(frameAt(scrolled.value) / step) * step, 0);
  const found: number[] = [];
  for (let at = first; at <= last.value && xOf(at) < scrolled.value + room.value + 60; at += step) found.push(at);
  return found;
});

/** Frames and seconds; dragging on it scrubs. */
export function Ruler() {
  const fps = motion.value?.fps ?? 16;
  return (
    <div class="tl-row tl-ruler">
      <div class="tl-name dim">frame / s</div>
      <div class="tl-lane-ruler" style={{ width: `${laneWidth.value}px`, "--step": `${perFrame.value}px` }} onPointerDown={scrub}>
        {labels.value.map((at) => (
          <span key={at} class={`tl-tick${laneWidth.value - xOf(at) < LABEL_WIDTH ? " is-last" : ""}`} style={{ left: `${xOf(at)}px` }}>
            <b>{at}</b>
            <small>{Number((at / fps).toFixed(2))}</small>
          </span>
        ))}
        <MarkFlags />
        <PickedRange />
        <Head />
      </div>
    </div>
  );
}

function Head() {
  return (
    <span class="tl-head number" role="slider" aria-label="Playhead" aria-valuemin={0} aria-valuemax={last.value} aria-valuenow={frame.value} tabIndex={0} style={{ transform: `translateX(${xOf(frame.value)}px)` }}>
      <b>{frame.value}</b>
    </span>
  );
}

function scrub(event: PointerEvent): void {
  if (event.button !== 0) return;
  const lane = event.currentTarget as HTMLElement;
  playing.value = false;
  const to = (now: PointerEvent) => {
    const at = Math.round(frameAt(now.clientX - lane.getBoundingClientRect().left));
    if (at !== frame.value) frame.value = at;
  };
  to(event);
  followPointer(event, { move: (_dx, _dy, now) => to(now) });
}

function MarkFlags() {
  const given = marks.value;
  if (!given) return null;
  return (
    <>
      <Flag side="start" at={given.start} />
      <Flag side="end" at={given.end} />
    </>
  );
}

function Flag({ side, at }: { side: "start" | "end"; at: number }) {
  const press = (event: PointerEvent) => {
    event.stopPropagation();
    const lane = (event.currentTarget as HTMLElement).parentElement as HTMLElement;
    followPointer(event, { move: (_dx, _dy, now) => setMark(side, Math.round(frameAt(now.clientX - lane.getBoundingClientRect().left))) });
  };
  return <i class={`tl-flag is-${side}`} title={side === "start" ? "In" : "Out"} style={{ left: `${xOf(at)}px` }} onPointerDown={press} />;
}

/** First to last picked key: the middle moves them, an end stretches them about the other end. */
function PickedRange() {
  const span = pickedSpan.value;
  if (!span || picked.value.length < 2 || span.end - span.start < 1) return null;
  const press = (event: PointerEvent, side: "start" | "end" | null) => {
    event.stopPropagation();
    const [held, name] = [picked.value, pickedName()];
    const [about, from] = side === "start" ? [span.end, span.start] : [span.start, span.end];
    followPointer(event, {
      move: (dx) => {
        const by = Math.round(dx / perFrame.value);
        if (side === null) tryMoved(held, by);
        else tryStretched(held, about, (from + by - about) / (from - about));
      },
      end: (moved) => {
        if (moved) void settle(`${side ? "Stretch" : "Move"} ${name}`);
      },
      cancel: () => giveUp(held),
    });
  };
  return (
    <div class="tl-range" title="Picked keys: drag to move, drag an end to stretch" style={{ left: `${xOf(span.start)}px`, width: `${xOf(span.end) - xOf(span.start)}px` }} onPointerDown={(event) => press(event, null)}>
      <i class="tl-end is-start" onPointerDown={(event) => press(event, "start")} />
      <i class="tl-end is-end" onPointerDown={(event) => press(event, "end")} />
    </div>
  );
}

