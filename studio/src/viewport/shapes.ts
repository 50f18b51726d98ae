/** The meshes of the scene at rest, from its GLB. */

import { type BufferGeometry, type Matrix4, Mesh, NoColorSpace, type Object3D, type Texture } from "three";
import { GLTFLoader } from "three/examples/jsm/loaders/GLTFLoader.js";

/** What an entity's node draws: one or several parts. */
export interface Part {
  geometry: BufferGeometry;
  pixels: Texture | null;
  painted: boolean;
  /** World from object in the photo, where the file says it. */
  rest?: Matrix4;
}

export type Shapes = Map<string, Part[]>;

/** Reads a GLB; nodes are found by the names that the file has, which the loader changes for its own use. */
export async function loadShapes(url: string): Promise<Shapes> {
  const file = await new GLTFLoader().loadAsync(url);
  const nodes = file.parser.json.nodes as { name?: string; mesh?: number }[];
  const shapes: Shapes = new Map();
  file.scene.updateMatrixWorld();
  file.scene.traverse((object) => {
    const index = file.parser.associations.get(object)?.nodes;
    const node = index === undefined ? undefined : nodes[index];
    if (node?.name !== undefined && node.mesh !== undefined) shapes.set(node.name, partsOf(object));
  });
  return shapes;
}

function partsOf(object: Object3D): Part[] {
  const meshes = object instanceof Mesh ? [object] : object.children.filter((child) => child instanceof Mesh);
  return meshes.map((mesh) => {
    const pixels = (mesh.material.map ?? null) as Texture | null;
    if (pixels) pixels.colorSpace = NoColorSpace; // codes are drawn as they are
    return { geometry: mesh.geometry, pixels, painted: "color" in mesh.geometry.attributes, rest: mesh.matrixWorld.clone() };
  });
}

/** Frees what the graphics card holds of them. */
export function disposeShapes(shapes: Shapes): void {
  for (const part of [...shapes.values()].flat()) {
    part.geometry.dispose();
    part.pixels?.dispose();
  }
}
