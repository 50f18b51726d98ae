/** From what the page carries to what three.js draws. */

import { BufferAttribute, BufferGeometry, LinearMipmapLinearFilter, NoColorSpace, RepeatWrapping, type Texture, TextureLoader } from "three";
import { decodeBytes } from "../motion.ts";
import type { Base64 } from "../types.ts";
import type { Shapes } from "../viewport/shapes.ts";
import type { Packed, ShapeData } from "./data.ts";
import { linear, unpacked } from "./numbers.ts";

const of = (packed: Packed) => unpacked(new Uint16Array(decodeBytes(packed.data).buffer), packed.low, packed.span);

function indexOf(text: Base64, vertices: number): Uint16Array | Uint32Array {
  const bytes = decodeBytes(text).buffer;
  return vertices > 65535 ? new Uint32Array(bytes) : new Uint16Array(bytes);
}

/** Deformed vertices, frames × vertices × 3; frames between those that are told are as the one before. */
export function movedVertices(shape: ShapeData, frames: number): Float32Array | null {
  if (!shape.moved) return null;
  const told = of(shape.moved.frames);
  const size = of(shape.positions).length;
  const all = new Float32Array(frames * size);
  for (let frame = 0; frame < frames; frame++) {
    const from = Math.floor(frame / shape.moved.step) * size;
    all.set(told.subarray(from, from + size), frame * size);
  }
  return all;
}

/** A picture from a data URI, as codes that are drawn as they are. */
export async function loadPicture(source: string): Promise<Texture> {
  const texture = await new TextureLoader().loadAsync(source);
  texture.flipY = false;
  texture.colorSpace = NoColorSpace;
  texture.minFilter = LinearMipmapLinearFilter;
  return texture;
}

/** The shapes of all entities, by name. */
export async function unpackShapes(given: Record<string, ShapeData>): Promise<Shapes> {
  const shapes: Shapes = new Map();
  for (const [name, shape] of Object.entries(given)) {
    const geometry = new BufferGeometry();
    const positions = of(shape.positions);
    geometry.setAttribute("position", new BufferAttribute(positions, 3));
    const normals = Float32Array.from(new Int8Array(decodeBytes(shape.normals).buffer), (value) => value / 127);
    geometry.setAttribute("normal", new BufferAttribute(normals, 3));
    if (shape.uvs) geometry.setAttribute("uv", new BufferAttribute(of(shape.uvs), 2));
    if (shape.colors) geometry.setAttribute("color", new BufferAttribute(Float32Array.from(decodeBytes(shape.colors), linear), 3));
    geometry.setIndex(new BufferAttribute(indexOf(shape.index, positions.length / 3), 1));
    const pixels = shape.texture ? await loadPicture(shape.texture) : null;
    if (pixels) pixels.wrapS = pixels.wrapT = RepeatWrapping;
    shapes.set(name, [{ geometry, pixels, painted: shape.colors !== null }]);
  }
  return shapes;
}
