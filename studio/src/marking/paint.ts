/** Masks as canvases: loaded, painted on, tinted. A mask is white where it is, and transparent elsewhere. */

import type { Size, Xy } from "./frame.ts";

export type Canvas = HTMLCanvasElement;

export function blank({ width, height }: Size): [Canvas, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return [canvas, canvas.getContext("2d") as CanvasRenderingContext2D];
}

export function loadImage(url: string): Promise<HTMLImageElement> {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(`the picture ${url} cannot be loaded`));
    image.src = url;
  });
}

/** A line of the brush, from one photo pixel to another. */
export function stroke(on: CanvasRenderingContext2D, from: Xy, to: Xy, diameter: number, erase: boolean): void {
  on.globalCompositeOperation = erase ? "destination-out" : "source-over";
  on.strokeStyle = on.fillStyle = "#fff";
  on.lineCap = on.lineJoin = "round";
  on.lineWidth = diameter;
  on.beginPath();
  if (from[0] === to[0] && from[1] === to[1]) {
    on.arc(from[0], from[1], diameter / 2, 0, 2 * Math.PI);
    on.fill();
    return;
  }
  on.moveTo(...from);
  on.lineTo(...to);
  on.stroke();
}

/** The mask as a PNG file, white on black. */
export function asFile(mask: Canvas): Promise<Blob> {
  const [canvas, on] = blank(mask);
  on.fillStyle = "#000";
  on.fillRect(0, 0, mask.width, mask.height);
  on.drawImage(mask, 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the mask cannot be written"))), "image/png"),
  );
}

/** A mask in a colour. */
export function tinted(mask: CanvasImageSource & Size, color: string): Canvas {
  const [canvas, on] = blank(mask);
  on.drawImage(mask, 0, 0);
  on.globalCompositeOperation = "source-in";
  on.fillStyle = color;
  on.fillRect(0, 0, mask.width, mask.height);
  return canvas;
}

const AROUND: Xy[] = [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]];

/** The outline of a tinted mask: what lies `wide` photo pixels about it. */
export function outlined(tint: Canvas, wide: number): Canvas {
  const [canvas, on] = blank(tint);
  for (const [x, y] of AROUND) on.drawImage(tint, x * wide, y * wide);
  on.globalCompositeOperation = "destination-out";
  on.drawImage(tint, 0, 0);
  return canvas;
}

export interface Painted {
  tint: Canvas;
  outline: Canvas;
}

export function paintedMask(mask: CanvasImageSource & Size, color: string, wide: number): Painted {
  const tint = tinted(mask, color);
  return { tint, outline: outlined(tint, wide) };
}
