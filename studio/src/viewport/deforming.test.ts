import assert from "node:assert/strict";
import { test } from "node:test";
import { deformedNormals, shadingPoints } from "./deforming.ts";

test("vertices that a seam parts share a normal, those of a sharp edge do not", () => {
  const positions = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  assert.deepEqual([...shadingPoints(positions, [0, 1, 0, 0, 1, 0, 1, 0, 0])], [0, 0, 2]);
});

test("normals are weighted by the corner's angle", () => {
  // A square in the plane z = 0, cut into two triangles, and a wall that stands on its edge x = 0.
  const positions = new Float32Array([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, -1]);
  const faces = [0, 1, 2, 0, 2, 3, 0, 3, 4];
  const normals = new Float32Array(15);
  deformedNormals(positions, faces, new Uint32Array([0, 1, 2, 3, 4]), normals);
  // At corner 0 the square has 90 degrees in two halves, the wall 90: both weigh the same.
  const half = Math.SQRT1_2;
  assert.ok(Math.abs(normals[0]! + half) < 1e-6 && Math.abs(normals[1]!) < 1e-6 && Math.abs(normals[2]! - half) < 1e-6);
});
