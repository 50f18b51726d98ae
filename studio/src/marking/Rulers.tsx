/** Rulers in pixels of the photo's file, as --box and --points count. */

import { useEffect, useRef } from "preact/hooks";
import { effect } from "@preact/signals";
import { ticks, toFile, toPhoto, type Frame } from "./frame.ts";
import { frame_, photoSize, pointer, stageSize } from "./sight.ts";

const BAND = 20;
const APART = 60;

export function Rulers() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(
    () =>
      effect(() => {
        const frame = frame_.value;
        if (canvas.current && frame) draw(canvas.current, frame);
      }),
    [],
  );
  const at = pointer.value;
  const { width, height, shrink } = photoSize();
  const inside = at && at[0] >= 0 && at[1] >= 0 && at[0] < width && at[1] < height;
  const [x, y] = at ? toFile(at, shrink) : [0, 0];
  return (
    <>
      <canvas ref={canvas} class="rulers" aria-hidden="true" />
      <output class="stage-pixel number" aria-label="Pixel under the pointer">
        {inside ? `${Math.floor(x)}, ${Math.floor(y)}` : ""}
      </output>
    </>
  );
}

function draw(canvas: HTMLCanvasElement, frame: Frame): void {
  const { width, height } = stageSize.value;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const on = canvas.getContext("2d") as CanvasRenderingContext2D;
  on.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  on.fillStyle = style.getPropertyValue("--panel");
  on.fillRect(0, 0, width, BAND);
  on.fillRect(0, 0, BAND, height);
  on.fillStyle = style.getPropertyValue("--dim");
  on.font = "10px system-ui, sans-serif";
  const { shrink } = photoSize();
  const low = toFile(toPhoto(frame, [BAND, BAND]), shrink);
  const high = toFile(toPhoto(frame, [width, height]), shrink);
  const scale = frame.scale * shrink;
  for (const value of ticks(low[0], high[0], scale, APART)) {
    const at = value * scale + frame.left;
    on.fillRect(at, BAND - 6, 1, 6);
    on.fillText(String(value), at + 3, 12);
  }
  for (const value of ticks(low[1], high[1], scale, APART)) {
    const at = value * scale + frame.top;
    on.fillRect(BAND - 6, at, 6, 1);
    on.save();
    on.translate(12, at + 3);
    on.rotate(Math.PI / 2);
    on.fillText(String(value), 0, 0);
    on.restore();
  }
}
