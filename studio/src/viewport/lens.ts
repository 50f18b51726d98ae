/** The photo's lens on the page: where its frame lies in the canvas, and the projection that shows it there. */

import type { Intrinsics } from "../types.ts";

export interface Size {
  width: number;
  height: number;
}

/** A rectangle in the canvas, from its top-left corner. */
export interface Rect extends Size {
  x: number;
  y: number;
}

/** The largest rectangle of the photo's proportions inside the canvas, with a margin around it. */
export function letterbox(photo: Size, canvas: Size, margin: number): Rect {
  const scale = Math.min((canvas.width - 2 * margin) / photo.width, (canvas.height - 2 * margin) / photo.height);
  const [width, height] = [photo.width * scale, photo.height * scale];
  return { x: (canvas.width - width) / 2, y: (canvas.height - height) / 2, width, height };
}

/** The lens in pixels of a canvas in which the photo's frame is `frame`; the view goes on beyond it. */
export function lensIn(intrinsics: Intrinsics, zoom: number, frame: Rect, canvas: Size): Intrinsics {
  const [sx, sy] = [frame.width / intrinsics.width, frame.height / intrinsics.height];
  return {
    width: canvas.width,
    height: canvas.height,
    fx: intrinsics.fx * zoom * sx,
    fy: intrinsics.fy * zoom * sy,
    cx: frame.x + intrinsics.cx * sx,
    cy: frame.y + intrinsics.cy * sy,
  };
}

/**
 * The projection matrix of a lens, 16 numbers, column-major: camera space (looking along −Z) to clip space.
 * The principal point may lie anywhere; pixels start at the top-left corner.
 */
export function projection(lens: Intrinsics, near: number, far: number): number[] {
  const matrix = new Array<number>(16).fill(0);
  matrix[0] = (2 * lens.fx) / lens.width;
  matrix[5] = (2 * lens.fy) / lens.height;
  matrix[8] = 1 - (2 * lens.cx) / lens.width;
  matrix[9] = (2 * lens.cy) / lens.height - 1;
  matrix[10] = -(far + near) / (far - near);
  matrix[11] = -1;
  matrix[14] = (-2 * far * near) / (far - near);
  return matrix;
}

/** Near and far planes that hold spheres of depth and radius, near the eye no nearer than a share of the far one. */
export function depthRange(spheres: readonly { depth: number; radius: number }[]): [number, number] {
  const far = Math.max(1e-3, ...spheres.map((one) => one.depth + one.radius)) * 1.05;
  const nearest = Math.min(far, ...spheres.map((one) => one.depth - one.radius).filter((depth) => depth > 0));
  const inside = spheres.some((one) => one.depth + one.radius > 0 && one.depth - one.radius <= 0);
  return [Math.max(inside ? 0 : nearest * 0.9, far * 2e-4), far];
}
