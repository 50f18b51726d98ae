import assert from "node:assert/strict";
import { test } from "node:test";
import { Matrix4, Vector3 } from "three";
import { numbersOf, poseOf } from "./pose.ts";

const still = { x: 1, y: 2, z: -3, turn: 0, pitch: 0, roll: 0, sx: 1, sy: 2, sz: 0.5 };

test("numbers give their pose back", () => {
  const numbers = { ...still, turn: 50, pitch: -20, roll: 10 };
  const found = numbersOf(poseOf(numbers, 30).toArray(), 30);
  for (const [key, value] of Object.entries(numbers)) assert.ok(Math.abs(found[key as keyof typeof found] - value) < 1e-9, key);
});

const front = (pose: Matrix4, facing: number) => {
  const angle = (facing * Math.PI) / 180;
  return new Vector3(Math.sin(angle), 0, Math.cos(angle)).transformDirection(pose);
};

test("a turn to the right is clockwise from above, whatever is its front", () => {
  const to = front(poseOf({ ...still, sy: 1, sz: 1, turn: 90 }, 0), 0);
  assert.ok(Math.abs(to.x + 1) < 1e-9); // from +Z, its own right is −X
});

test("pitch lifts the front and roll leans to its right", () => {
  const up = front(poseOf({ ...still, sy: 1, sz: 1, pitch: 30 }, 90), 90);
  assert.ok(Math.abs(up.y - 0.5) < 1e-9);
  const lean = new Vector3(0, 1, 0).transformDirection(poseOf({ ...still, sy: 1, sz: 1, roll: 90 }, 0));
  assert.ok(Math.abs(lean.x + 1) < 1e-9);
});
