import assert from "node:assert/strict";
import { test } from "node:test";
import { boxPulled, fileBox, filePoint, fitted, panned, sightOf, ticks, toPhoto, toScreen, zoomed } from "./frame.ts";

const photo = { width: 1920, height: 1080 };
const stage = { width: 900, height: 600 };

test("the whole photo fits into the stage", () => {
  const frame = fitted(photo, stage);
  const [left, top] = toScreen(frame, [0, 0]);
  const [right, bottom] = toScreen(frame, [1920, 1080]);
  assert.ok(left >= 20 && top >= 20 && right <= 900 && bottom <= 600);
});

test("what is under the pointer stays there while zooming", () => {
  const before = fitted(photo, stage);
  const at: [number, number] = [333, 222];
  const [x, y] = toPhoto(before, at);
  const after = zoomed(before, 3, at, photo, stage);
  const [x2, y2] = toPhoto(after, at);
  assert.ok(Math.abs(x - x2) < 1e-9 && Math.abs(y - y2) < 1e-9);
  assert.equal(after.scale, before.scale * 3);
});

test("the photo cannot be lost out of sight", () => {
  const frame = panned(fitted(photo, stage), 1e6, -1e6, photo, stage);
  assert.ok(frame.left < stage.width);
  assert.ok(frame.top + photo.height * frame.scale > 0);
});

test("a box counts in whole pixels of the file, whichever corner comes first", () => {
  assert.deepEqual(fileBox([300.2, 200], [100, -50], photo, 0.5), [200, 0, 600, 400]);
  assert.equal(fileBox([10, 10], [12, 200], photo, 1), null);
});

test("a point at the edge lies inside the photo", () => {
  const [x, y] = filePoint([1920, -3], photo, 0.5);
  assert.ok(x < 3840 && y > 0);
});

test("a ruler's ticks are round numbers, far enough apart", () => {
  assert.deepEqual(ticks(-3, 450, 0.4, 50), [0, 200, 400]);
  assert.deepEqual(ticks(7, 13, 30, 50), [8, 10, 12]);
});

test("a box is pulled by its parts, inside the photo", () => {
  const size = { width: 100, height: 80 };
  assert.deepEqual(boxPulled([10, 10, 40, 30], "se", [5.4, 2], size), [10, 10, 45, 32]);
  assert.deepEqual(boxPulled([10, 10, 40, 30], "n", [99, -50], size), [10, 0, 40, 30]);
  assert.deepEqual(boxPulled([10, 10, 40, 30], "w", [99, 0], size), [36, 10, 40, 30]);
  assert.deepEqual(boxPulled([10, 10, 40, 30], "move", [99, -99], size), [70, 0, 100, 20]);
});

test("the line of sight of a photo pixel, in the world", () => {
  const lens = { width: 100, height: 80, fx: 50, fy: 50, cx: 50, cy: 40 };
  const turned = [0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 7, 8, 9, 1]; // looks along -x
  const found = sightOf([75, 40], lens, turned);
  assert.deepEqual(found.origin, [7, 8, 9]);
  assert.deepEqual(found.direction, [-1, 0, -0.5]);
});
