/** The box of the chosen object, whose edges and corners can be pulled, and which can be moved by its grip. */

import { useSignal } from "@preact/signals";
import type { MaskObject } from "../types.ts";
import { followPointer } from "../ui/drag.ts";
import { type Box, type BoxPart, boxPulled, fromFile, toScreen, type Xy } from "./frame.ts";
import { changeBox, tool } from "./marks.ts";
import { frame_, photoSize } from "./sight.ts";

const CORNERS: BoxPart[] = ["nw", "ne", "se", "sw"];
const EDGES: BoxPart[] = ["n", "e", "s", "w"];
const NAMES: Record<BoxPart, string> = {
  n: "upper edge", e: "right edge", s: "lower edge", w: "left edge",
  nw: "upper left corner", ne: "upper right corner", se: "lower right corner", sw: "lower left corner",
  move: "grip that moves it",
}; // prettier-ignore

export function BoxHandles({ object, box }: { object: MaskObject; box: Box }) {
  const pulled = useSignal<Box | null>(null);
  const frame = frame_.value;
  if (!frame) return null;
  const { shrink, width, height } = photoSize();
  const file = { width: width / shrink, height: height / shrink };
  const [x0, y0, x1, y1] = pulled.value ?? box;
  const [left, top] = toScreen(frame, fromFile([x0, y0], shrink));
  const [right, bottom] = toScreen(frame, fromFile([x1, y1], shrink));
  const pull = (part: BoxPart) => (press: PointerEvent) => {
    if (press.button !== 0) return;
    press.preventDefault();
    press.stopPropagation();
    followPointer(press, {
      move: (dx, dy) => (pulled.value = boxPulled(box, part, [dx / frame.scale / shrink, dy / frame.scale / shrink], file)),
      end: (moved) => {
        if (moved && pulled.value) void changeBox(object, pulled.value);
        pulled.value = null;
      },
      cancel: () => (pulled.value = null),
    });
  };
  const rectangle = <rect class="box" x={left} y={top} width={right - left} height={bottom - top} />;
  if (tool.value !== "box") return rectangle;
  const [middle, centre] = [(left + right) / 2, (top + bottom) / 2];
  const ends: Record<string, [Xy, Xy]> = { n: [[left, top], [right, top]], e: [[right, top], [right, bottom]], s: [[left, bottom], [right, bottom]], w: [[left, top], [left, bottom]] };
  const corners: Record<string, Xy> = { nw: [left, top], ne: [right, top], se: [right, bottom], sw: [left, bottom] };
  const label = (part: BoxPart) => `Box of ${object.name}, ${NAMES[part]}`;
  return (
    <g class="box-handles">
      {rectangle}
      {EDGES.map((part) => {
        const [[ax, ay], [bx, by]] = ends[part] as [Xy, Xy];
        return <line key={part} class={`edge ${part}`} data-handle aria-label={label(part)} role="button" x1={ax} y1={ay} x2={bx} y2={by} onPointerDown={pull(part)} />;
      })}
      {CORNERS.map((part) => {
        const [x, y] = corners[part] as Xy;
        return <rect key={part} class={`corner ${part}`} data-handle aria-label={label(part)} role="button" x={x - 5} y={y - 5} width="10" height="10" onPointerDown={pull(part)} />;
      })}
      <g class="grip" data-handle aria-label={label("move")} role="button" transform={`translate(${middle},${top > 40 ? top - 16 : centre})`} onPointerDown={pull("move")}>
        <title>Move the box</title>
        <rect x="-15" y="-9" width="30" height="18" rx="9" />
        <path d="M-6 0h12M-4 -2.500l-2.500 2.500 2.500 2.500M4 -2.500l2.500 2.500-2.500 2.500M0 -5.500v11" />
      </g>
    </g>
  );
}
