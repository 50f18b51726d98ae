/** The photo with its masks, and the hand on it: zoom, pan, boxes, points, brush. */

import { effect, useComputed, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { document_, workspace } from "../state.ts";
import type { MaskObject } from "../types.ts";
import { fileBox, filePoint, fitted, type Frame, fromFile, panned, toPhoto, toScreen, type Xy, zoomed } from "./frame.ts";
import { BoxHandles } from "./BoxHandles.tsx";
import { LensLines } from "./LensLines.tsx";
import { chooseNew, chosen, chosenId, cutting, brushSize, markBox, markPoint, recut, sendPainted, stopLooking, tool, working } from "./marks.ts";
import { asFile, blank, type Canvas, loadImage, type Painted, paintedMask, stroke } from "./paint.ts";
import { Rulers } from "./Rulers.tsx";
import { frame_, held, photoSize, pointer, stageSize } from "./sight.ts";
import "./Stage.css";

const NEW_COLOR = "#f0a24a";
const FILL = 0.3;

/** What the hand is doing. */
type Gesture =
  | { kind: "box"; from: Xy; to: Xy }
  | { kind: "pan"; last: Xy }
  | { kind: "stroke"; mask: Canvas; last: Xy; color: string; id: string | null };

export function Stage() {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const gesture = useSignal<Gesture | null>(null);
  const pictures = useMasks();
  const photo = usePhoto();
  useStageSize(place);
  useEffect(
    () =>
      effect(() => {
        const frame = frame_.value;
        const element = canvas.current;
        if (!element || !frame) return;
        draw(element, frame, photo.value, pictures.value, gesture.value);
      }),
    [],
  );
  const hand = useMemo(() => handOf(place, gesture, pictures), []);
  return (
    <div
      ref={place}
      class={`stage ${cursorOf(gesture.value)}`}
      aria-label="Photo"
      role="application"
      data-frame={frame_.value && [frame_.value.scale, frame_.value.left, frame_.value.top].join(" ")}
      onContextMenu={(event) => event.preventDefault()}
      onWheel={hand.wheel}
      onPointerDown={hand.down}
      onPointerMove={hand.move}
      onPointerUp={hand.up}
      onPointerCancel={hand.cancel}
      onPointerLeave={() => (pointer.value = null)}
      onDblClick={hand.choose}
    >
      <canvas ref={canvas} />
      <Marks gesture={gesture.value} />
      {tool.value === "lens" && <LensLines />}
      <Rulers />
      <BrushRing />
      {working.value && (
        <p class="stage-working" role="status" data-handle>
          {working.value}
          <button type="button" class="quiet" onClick={() => void stopLooking()}>
            Stop
          </button>
        </p>
      )}
    </div>
  );
}

const cursorOf = (gesture: Gesture | null) => (gesture?.kind === "pan" ? "panning" : `tool-${tool.value}`);

function usePhoto() {
  const photo = useSignal<HTMLImageElement | null>(null);
  useEffect(() => {
    const at = workspace.value;
    if (at) void loadImage(at.url("photo.png")).then((image) => (photo.value = image));
  }, [workspace.value]);
  return photo;
}

/** The masks as they are to be drawn, by object id; made anew where a version or a colour changed. */
function useMasks() {
  const made = useMemo(() => new Map<string, { key: string; mask: HTMLImageElement; painted: Painted }>(), []);
  const shown = useSignal<ReadonlyMap<string, { key: string; mask: HTMLImageElement; painted: Painted }>>(new Map());
  const objects = document_.value?.objects;
  useEffect(() => {
    let current = true;
    void Promise.all((objects ?? []).map((object) => made_(made, object))).then(() => {
      const ids = new Set(objects?.map((each) => each.id));
      for (const id of made.keys()) if (!ids.has(id)) made.delete(id);
      if (current) shown.value = new Map(made);
    });
    return () => {
      current = false;
    };
  }, [objects]);
  return shown;
}

async function made_(made: Map<string, { key: string; mask: HTMLImageElement; painted: Painted }>, object: MaskObject): Promise<void> {
  const at = workspace.value;
  const key = `${object.version} ${object.color}`;
  if (!at || made.get(object.id)?.key === key) return;
  const mask = await loadImage(at.url(`objects/masks/${object.id}/${object.version}.png`));
  const wide = Math.max(1, Math.max(mask.width, mask.height) / 500);
  made.set(object.id, { key, mask, painted: paintedMask(mask, object.color, wide) });
}

type Pictures = ReadonlyMap<string, { mask: HTMLImageElement; painted: Painted }>;

function useStageSize(place: RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const size = { width: element.clientWidth, height: element.clientHeight };
      const first = frame_.value === null;
      stageSize.value = size;
      if (first || size.width * size.height === 0) frame_.value = fitted(photoSize(), size);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      frame_.value = null;
    };
  }, []);
}

function draw(element: Canvas, frame: Frame, photo: HTMLImageElement | null, pictures: Pictures, gesture: Gesture | null): void {
  const { width, height } = stageSize.value;
  const ratio = devicePixelRatio;
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
  }
  const on = element.getContext("2d") as CanvasRenderingContext2D;
  on.setTransform(1, 0, 0, 1, 0, 0);
  on.clearRect(0, 0, element.width, element.height);
  on.setTransform(ratio * frame.scale, 0, 0, ratio * frame.scale, ratio * frame.left, ratio * frame.top);
  on.imageSmoothingEnabled = frame.scale * ratio < 3;
  if (photo) on.drawImage(photo, 0, 0, photoSize().width, photoSize().height);
  on.imageSmoothingEnabled = true; // soft edges also where pixels are large
  on.imageSmoothingQuality = "high";
  const stroked = gesture?.kind === "stroke" ? gesture : null;
  for (const object of document_.value?.objects ?? []) {
    const found = pictures.get(object.id)?.painted;
    if (found && stroked?.id !== object.id) drawMask(on, found, object.id === chosenId.value, object.occluder);
  }
  if (stroked) drawMask(on, paintedMask(stroked.mask, stroked.color, Math.max(1, stroked.mask.width / 500)), true, false);
}

function drawMask(on: CanvasRenderingContext2D, { tint, outline }: Painted, strong: boolean, faint: boolean): void {
  on.globalAlpha = faint ? FILL / 2 : strong ? FILL + 0.12 : FILL;
  on.drawImage(tint, 0, 0);
  on.globalAlpha = faint ? 0.6 : 1;
  on.drawImage(outline, 0, 0);
  on.globalAlpha = 1;
}

type Gestures = { value: Gesture | null };

/** What pointer and wheel do. */
function handOf(place: RefObject<HTMLDivElement | null>, gesture: Gestures, pictures: { value: Pictures }) {
  const screen = (event: MouseEvent): Xy => {
    const at = (place.current as HTMLDivElement).getBoundingClientRect();
    return [event.clientX - at.left, event.clientY - at.top];
  };
  const photoAt = (event: MouseEvent): Xy => toPhoto(frame_.value as Frame, screen(event));
  return {
    wheel(event: WheelEvent) {
      event.preventDefault();
      const [frame, stage] = [frame_.value, stageSize.value];
      if (!frame) return;
      if (event.shiftKey) frame_.value = panned(frame, -event.deltaY, -event.deltaX, photoSize(), stage);
      else frame_.value = zoomed(frame, Math.exp(-event.deltaY / 500), screen(event), photoSize(), stage);
    },
    down(event: PointerEvent) {
      if (!frame_.value || (event.target as Element).closest("[data-handle]")) return;
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      const at = photoAt(event);
      if (event.button === 1 || held.space) gesture.value = { kind: "pan", last: screen(event) };
      else if (tool.value === "points" && event.button !== 1) {
        const { shrink } = photoSize();
        void markPoint(filePoint(at, photoSize(), shrink), event.button === 0 && !event.altKey);
      } else if (event.button !== 0) return;
      else if (tool.value === "box") gesture.value = { kind: "box", from: at, to: at };
      else if (tool.value === "brush" || tool.value === "eraser") gesture.value = beginStroke(at, pictures.value);
    },
    move(event: PointerEvent) {
      if (!frame_.value) return;
      const at = photoAt(event);
      pointer.value = at;
      const now = gesture.value;
      if (now?.kind === "pan") {
        const here = screen(event);
        frame_.value = panned(frame_.value, here[0] - now.last[0], here[1] - now.last[1], photoSize(), stageSize.value);
        gesture.value = { kind: "pan", last: here };
      } else if (now?.kind === "box") gesture.value = { ...now, to: at };
      else if (now?.kind === "stroke") {
        const on = now.mask.getContext("2d") as CanvasRenderingContext2D;
        stroke(on, now.last, at, brushSize.value, tool.value === "eraser");
        gesture.value = { ...now, last: at };
      }
    },
    up() {
      const now = gesture.value;
      if (now?.kind === "box") endBox(now, gesture);
      else if (now?.kind === "stroke") void endStroke(now, gesture);
      else gesture.value = null;
    },
    cancel() {
      gesture.value = null;
    },
    choose(event: MouseEvent) {
      if (tool.value === "box") chosenId.value = objectAt(photoAt(event), pictures.value);
    },
  };
}

function endBox(now: Extract<Gesture, { kind: "box" }>, gesture: Gestures): void {
  gesture.value = null;
  const box = fileBox(now.from, now.to, photoSize(), photoSize().shrink);
  if (box) void markBox(box);
}

function beginStroke(at: Xy, pictures: Pictures): Gesture | null {
  const object = chosen.value;
  const erase = tool.value === "eraser";
  if (erase && !object) return null;
  const [mask, on] = blank(photoSize());
  const known = object && pictures.get(object.id);
  if (known) on.drawImage(known.mask, 0, 0);
  stroke(on, at, at, brushSize.value, erase);
  return { kind: "stroke", mask, last: at, color: object?.color ?? NEW_COLOR, id: object?.id ?? null };
}

/** Keeps a stroke on the server; it stays in sight until the answer is. */
async function endStroke(now: Extract<Gesture, { kind: "stroke" }>, gesture: Gestures): Promise<void> {
  const before = document_.value?.objects ?? [];
  const found = await sendPainted(await asFile(now.mask), now.id);
  if (now.id === null) chooseNew(before, found);
  if (gesture.value?.kind === "stroke" && gesture.value.mask === now.mask) gesture.value = null;
}

/** The object whose mask holds a pixel; of several the smallest. */
function objectAt([x, y]: Xy, pictures: Pictures): string | null {
  const objects = [...(document_.value?.objects ?? [])].sort((a, b) => a.area - b.area);
  const [, on] = blank({ width: 1, height: 1 });
  for (const object of objects) {
    const mask = pictures.get(object.id)?.mask;
    if (!mask) continue;
    on.clearRect(0, 0, 1, 1);
    on.drawImage(mask, -Math.floor(x), -Math.floor(y));
    if ((on.getImageData(0, 0, 1, 1).data[3] ?? 0) > 127) return object.id;
  }
  return null;
}

/** Box and points of the chosen object, and boxes that are being drawn or cut out. */
function Marks({ gesture }: { gesture: Gesture | null }) {
  const frame = frame_.value;
  const object = chosen.value;
  if (!frame) return null;
  const { shrink } = photoSize();
  const at = (point: Xy) => toScreen(frame, fromFile(point, shrink));
  return (
    <svg class="stage-marks">
      {object?.box && <BoxHandles key={object.id} object={object} box={object.box} />}
      {cutting.value.map((box) => (
        <Rectangle key={box.join()} from={at([box[0], box[1]])} to={at([box[2], box[3]])} word="cutting…" />
      ))}
      {object && (["inside", "outside"] as const).map((side) => object[side].map((point, k) => <Point key={`${side}${k}`} object={object} side={side} index={k} at={at(point)} />))}
      {gesture?.kind === "box" && <Rectangle from={toScreen(frame, gesture.from)} to={toScreen(frame, gesture.to)} />}
    </svg>
  );
}

/** A box that is being drawn, or cut out: then a word says so. */
function Rectangle({ from, to, word = "" }: { from: Xy; to: Xy; word?: string }) {
  const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
  return (
    <>
      <rect class={word ? "box drawn cutting" : "box drawn"} x={x} y={y} width={Math.abs(to[0] - from[0])} height={Math.abs(to[1] - from[1])} />
      {word && (
        <text class="cutting-word" x={x + 6} y={y + 16}>
          {word}
        </text>
      )}
    </>
  );
}

/** A point; a click takes it away. */
function Point({ object, side, index, at: [x, y] }: { object: MaskObject; side: "inside" | "outside"; index: number; at: Xy }) {
  const remove = (event: PointerEvent) => {
    event.stopPropagation();
    const left = object[side].filter((_, k) => k !== index);
    const [inside, outside] = side === "inside" ? [left, object.outside] : [object.inside, left];
    if (inside.length || object.box || object.source !== "points") void recut(object, inside, inside.length ? outside : []);
  };
  return (
    <g class={`point ${side}`} data-handle transform={`translate(${x},${y})`} onPointerDown={remove}>
      <title>{side === "inside" ? "On the object" : "Not the object"}: click to take this point away</title>
      <circle r="7" />
      <path d={side === "inside" ? "M-3.500 0h7M0-3.500v7" : "M-3.500 0h7"} />
    </g>
  );
}

function BrushRing() {
  const shown = useComputed(() => {
    const [frame, at] = [frame_.value, pointer.value];
    if (!frame || !at || (tool.value !== "brush" && tool.value !== "eraser")) return null;
    return { at: toScreen(frame, at), radius: (brushSize.value * frame.scale) / 2 };
  }).value;
  if (!shown) return null;
  return (
    <svg class="stage-marks" aria-hidden="true">
      <circle class="brush-ring" cx={shown.at[0]} cy={shown.at[1]} r={shown.radius} />
    </svg>
  );
}
