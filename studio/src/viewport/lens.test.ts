import assert from "node:assert/strict";
import { test } from "node:test";
import { depthRange, lensIn, letterbox, projection } from "./lens.ts";

const intrinsics = { width: 600, height: 400, fx: 500, fy: 520, cx: 290, cy: 230 };

/** Pixel of a camera-space point by the matrix. */
function pixel(matrix: number[], [x, y, z]: [number, number, number], width: number, height: number) {
  const clip = [0, 1, 2, 3].map((row) => matrix[row]! * x + matrix[4 + row]! * y + matrix[8 + row]! * z + matrix[12 + row]!);
  const [cx, cy, cz, cw] = clip as [number, number, number, number];
  return { x: ((cx / cw + 1) / 2) * width, y: ((1 - cy / cw) / 2) * height, depth: cz / cw };
}

test("a point falls where pinhole intrinsics say, principal point off the middle", () => {
  const found = pixel(projection(intrinsics, 0.1, 100), [0.4, -0.3, -2], 600, 400);
  assert.ok(Math.abs(found.x - (290 + (500 * 0.4) / 2)) < 1e-9);
  assert.ok(Math.abs(found.y - (230 + (520 * 0.3) / 2)) < 1e-9);
});

test("near and far planes lie at the ends of depth", () => {
  const matrix = projection(intrinsics, 0.5, 20);
  assert.ok(Math.abs(pixel(matrix, [0, 0, -0.5], 600, 400).depth + 1) < 1e-9);
  assert.ok(Math.abs(pixel(matrix, [0, 0, -20], 600, 400).depth - 1) < 1e-9);
});

test("in a wider canvas the frame keeps its place and the view goes on beside it", () => {
  const canvas = { width: 1000, height: 448 };
  const frame = letterbox(intrinsics, canvas, 24);
  assert.deepEqual(frame, { x: 200, y: 24, width: 600, height: 400 });
  const lens = lensIn(intrinsics, 2, frame, canvas);
  assert.deepEqual(lens, { width: 1000, height: 448, fx: 1000, fy: 1040, cx: 490, cy: 254 });
});

test("depths of what is seen lie between the planes", () => {
  const [near, far] = depthRange([
    { depth: 5, radius: 1 },
    { depth: 40, radius: 2 },
  ]);
  assert.ok(near > 0 && near <= 4 && far >= 42);
  const [inside] = depthRange([{ depth: 0.5, radius: 1 }]);
  assert.ok(inside > 0 && inside < 0.01);
});
