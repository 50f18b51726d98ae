import assert from "node:assert/strict";
import { test } from "node:test";
import { frameAt, linear, unpacked } from "./numbers.ts";

test("packed numbers are shares of their column's range", () => {
  const found = unpacked(new Uint16Array([0, 65535, 65535, 0]), [-1, 10], [2, 5]);
  assert.deepEqual([...found], [-1, 15, 1, 10]);
});

test("sRGB bytes become linear light", () => {
  assert.equal(linear(0), 0);
  assert.equal(linear(255), 1);
  assert.ok(Math.abs(linear(188) - 0.5029) < 1e-3);
});

test("a time is a frame of the shot, also in a video of every second one", () => {
  assert.equal(frameAt(0.5 / 16, 49, 16), 0);
  assert.equal(frameAt(3 / 16, 49, 16), 3);
  assert.equal(frameAt(24.5 / 8, 49, 16), 48);
  assert.equal(frameAt(99, 49, 16), 48);
});
