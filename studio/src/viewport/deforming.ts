/** Normals of meshes that deform, as the renderer has them: face normals weighted by the corner's angle. */

/**
 * Which shading point each vertex belongs to: vertices of one place and one normal at rest are one, so that a texture's
 * seams do not show and sharp edges stay sharp.
 */
export function shadingPoints(positions: ArrayLike<number>, normals: ArrayLike<number>): Uint32Array {
  const count = positions.length / 3;
  const found = new Uint32Array(count);
  const first = new Map<string, number>();
  for (let vertex = 0; vertex < count; vertex++) {
    const at = vertex * 3;
    const place = `${positions[at]},${positions[at + 1]},${positions[at + 2]}`;
    const turn = [0, 1, 2].map((axis) => Math.round((normals[at + axis] as number) * 1000)).join();
    const key = `${place};${turn}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, vertex);
    found[vertex] = known ?? vertex;
  }
  return found;
}

/** Unit normals of deformed `positions` (vertices × 3), written into `normals`. */
export function deformedNormals(
  positions: Float32Array, faces: ArrayLike<number>, points: Uint32Array, normals: Float32Array,
): void {
  normals.fill(0);
  for (let face = 0; face < faces.length; face += 3) {
    const corners = [faces[face] as number, faces[face + 1] as number, faces[face + 2] as number] as const;
    addFace(positions, corners, points, normals);
  }
  for (let vertex = 0; vertex < points.length; vertex++) {
    const own = (points[vertex] as number) * 3;
    const at = vertex * 3;
    if (own !== at) for (let axis = 0; axis < 3; axis++) normals[at + axis] = normals[own + axis] as number;
  }
  for (let at = 0; at < normals.length; at += 3) {
    const size = Math.hypot(normals[at] as number, normals[at + 1] as number, normals[at + 2] as number) || 1;
    for (let axis = 0; axis < 3; axis++) normals[at + axis] = (normals[at + axis] as number) / size;
  }
}

function addFace(
  positions: Float32Array, corners: readonly [number, number, number], points: Uint32Array, normals: Float32Array,
): void {
  const edges = corners.map((corner, k) => {
    const next = (corners[(k + 1) % 3] as number) * 3;
    return [0, 1, 2].map((axis) => (positions[next + axis] as number) - (positions[corner * 3 + axis] as number));
  }) as [number[], number[], number[]];
  const [p, q] = edges as [[number, number, number], [number, number, number], number[]];
  const cross = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]] as const;
  const twiceArea = Math.hypot(...cross);
  if (twiceArea <= 0) return;
  for (let k = 0; k < 3; k++) {
    const [edge, last] = [edges[k] as number[], edges[(k + 2) % 3] as number[]];
    const cosine = -(edge[0]! * last[0]! + edge[1]! * last[1]! + edge[2]! * last[2]!);
    const weight = Math.atan2(twiceArea, cosine) / twiceArea;
    const at = (points[corners[k] as number] as number) * 3;
    for (let axis = 0; axis < 3; axis++) normals[at + axis] = (normals[at + axis] as number) + weight * (cross[axis] as number);
  }
}
