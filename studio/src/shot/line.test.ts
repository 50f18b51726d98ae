import assert from "node:assert/strict";
import { test } from "node:test";
import { moveLine } from "./line.ts";

test("a move is written as a flag has it", () => {
  assert.equal(moveLine({ orbit: "30 deg", around: "car", frames: "10-40" }), "orbit 30 deg around car frames 10-40");
  assert.equal(moveLine({ remove: null }), "remove");
  assert.equal(moveLine({ move: [1, 0, -2], easing: "linear" }), "move (1, 0, -2) easing linear");
});

test("keyframes and paths stand in brackets", () => {
  const keys = { keyframes: [{ frame: 12, by: [1, 0, 0] }, { at: "100%", turn: "90 deg" }] };
  assert.equal(moveLine(keys), "keyframes (frame 12 by (1, 0, 0); at 100% turn 90 deg)");
  assert.equal(moveLine({ follow: [[0.5, 0, 0], [1, 0, -1]] }), "follow ((0.5, 0, 0), (1, 0, -1))");
});
