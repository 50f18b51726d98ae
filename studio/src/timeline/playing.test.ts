import assert from "node:assert/strict";
import { test } from "node:test";
import { frameAfter } from "./playing.ts";

const range = { start: 10, end: 19 };

test("playing goes round in the marked range", () => {
  assert.deepEqual(frameAfter(0, 12, range, 10, true), { frame: 12, ended: false });
  assert.deepEqual(frameAfter(0.7, 12, range, 10, true), { frame: 19, ended: false });
  assert.deepEqual(frameAfter(0.8, 12, range, 10, true), { frame: 10, ended: false });
  assert.deepEqual(frameAfter(0.5, 40, range, 10, true), { frame: 15, ended: false });
});

test("without a loop it ends on the range's last frame", () => {
  assert.deepEqual(frameAfter(0.7, 12, range, 10, false), { frame: 19, ended: false });
  assert.deepEqual(frameAfter(9, 12, range, 10, false), { frame: 19, ended: true });
});
