import assert from "node:assert/strict";
import { test } from "node:test";
import { timeOf } from "./sync.ts";

test("a frame is shown in the middle of its time, also by a draft of every second one", () => {
  assert.equal(timeOf(0, 49, 16, 49 / 16), 0.5 / 16);
  assert.equal(timeOf(48, 49, 16, 49 / 16), 48.5 / 16);
  const draft = timeOf(7, 49, 16, 25 / 8);
  assert.equal(Math.floor(draft * 8), 3);
});

test("a video that is shorter stays at its end", () => {
  assert.equal(timeOf(40, 49, 16, 1), 0.99);
  assert.equal(timeOf(90, 49, 16, 49 / 16), 48.5 / 16);
});
