/** What the free view shows beside the scene: the ground, cameras, the photo's plane, and paths with their keys. */

import {
  BufferAttribute, BufferGeometry, DoubleSide, GridHelper, Group, Line, LineBasicMaterial, LineSegments, Matrix4, Mesh, Points,
  PointsMaterial, ShaderMaterial, Sphere, type Texture, Vector3,
} from "three"; // prettier-ignore
import { decodeFloats } from "../motion.ts";
import type { Intrinsics, MotionData, SceneData } from "../types.ts";

/** A key on a path, which a person can drag. */
export interface KeyDot {
  target: string;
  frame: number;
  place: Vector3;
}

const CAMERA_COLOR = 0xf0a24a;
const PHOTO_COLOR = 0x4a525c;

function lineOf(points: Float32Array, color: number | string, opacity = 1): Line {
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(points, 3));
  return new Line(geometry, new LineBasicMaterial({ color, transparent: opacity < 1, opacity }));
}

/** The place of a pose at every frame, frames × 3. */
export function places(matrices: Float32Array): Float32Array {
  const frames = matrices.length / 16;
  const found = new Float32Array(frames * 3);
  for (let frame = 0; frame < frames; frame++) found.set(matrices.subarray(frame * 16 + 12, frame * 16 + 15), frame * 3);
  return found;
}

const moves = (points: Float32Array) => {
  for (let at = 3; at < points.length; at++) if (Math.abs((points[at] as number) - (points[at % 3] as number)) > 1e-5) return true;
  return false;
};

/** Corners of the frame at a depth, in the camera. */
function corners(lens: Intrinsics, zoom: number, depth: number): Vector3[] {
  const at = (x: number, y: number) =>
    new Vector3(((x - lens.cx) / (lens.fx * zoom)) * depth, ((lens.cy - y) / (lens.fy * zoom)) * depth, -depth);
  return [at(0, 0), at(lens.width, 0), at(lens.width, lens.height), at(0, lens.height)];
}

/** A camera's frustum as lines, from its eye to its frame at a depth, with a mark at the upper side. */
function frustum(lens: Intrinsics, zoom: number, depth: number, color: number): LineSegments {
  const [a, b, c, d] = corners(lens, zoom, depth) as [Vector3, Vector3, Vector3, Vector3];
  const eye = new Vector3();
  const middle = a.clone().add(b).multiplyScalar(0.5);
  const top = middle.clone().add(a.clone().sub(d).multiplyScalar(0.18));
  const [left, right] = [a.clone().lerp(b, 0.35), a.clone().lerp(b, 0.65)];
  const ends = [eye, a, eye, b, eye, c, eye, d, a, b, b, c, c, d, d, a, left, top, top, right];
  const geometry = new BufferGeometry().setFromPoints(ends);
  const lines = new LineSegments(geometry, new LineBasicMaterial({ color }));
  lines.matrixAutoUpdate = false;
  return lines;
}

function photoPlane(lens: Intrinsics, depth: number, photo: Texture): Mesh {
  const [a, b, c, d] = corners(lens, 1, depth) as [Vector3, Vector3, Vector3, Vector3];
  const geometry = new BufferGeometry().setFromPoints([a, b, c, d]).setIndex([0, 3, 2, 0, 2, 1]);
  geometry.setAttribute("uv", new BufferAttribute(new Float32Array([0, 0, 1, 0, 1, 1, 0, 1]), 2));
  const material = new ShaderMaterial({
    vertexShader: "varying vec2 at; void main() { at = uv; gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); }",
    fragmentShader: "uniform sampler2D photo; varying vec2 at; void main() { gl_FragColor = vec4(texture2D(photo, at).rgb, 0.8); }",
    uniforms: { photo: { value: photo } },
    transparent: true,
    depthWrite: false,
    side: DoubleSide,
  });
  const mesh = new Mesh(geometry, material);
  mesh.matrixAutoUpdate = false;
  return mesh;
}

function dispose(group: Group): void {
  group.traverse((object) => {
    const { geometry, material } = object as Partial<Mesh>;
    geometry?.dispose();
    for (const one of material ? [material].flat() : []) one.dispose();
  });
  group.clear();
}

export interface PathTarget {
  target: string;
  matrices: Float32Array;
  color: string | number;
  keys: number[];
}

export class Guides {
  readonly root = new Group();
  private readonly stage = new Group();
  private readonly paths = new Group();
  private camera: LineSegments | null = null;
  private lens: Intrinsics | null = null;
  private size = 1;
  private readonly at = new Matrix4();
  dots: KeyDot[] = [];

  constructor() {
    this.root.add(this.stage, this.paths);
  }

  /** Takes over the scene at rest: its ground, and the photo's plane behind all objects. */
  stand(scene: SceneData, photo: Texture | null, depth: number): void {
    dispose(this.stage);
    this.lens = scene.intrinsics;
    this.size = depth;
    const pose = this.at.fromArray(scene.photoWorldFromCamera);
    if (photo) {
      const plane = photoPlane(scene.intrinsics, depth, photo);
      plane.matrix.copy(pose);
      const edges = frustum(scene.intrinsics, 1, depth, PHOTO_COLOR);
      edges.matrix.copy(pose);
      this.stage.add(plane, edges);
    }
    const cell = 10 ** Math.floor(Math.log10(depth / 3));
    const cells = Math.min(200, 2 * Math.ceil((1.6 * depth) / cell));
    const grid = new GridHelper(cells * cell, cells, 0x4a525c, 0x2e343b);
    grid.position.set(Math.round((pose.elements[12] ?? 0) / cell) * cell, scene.groundY ?? 0, Math.round((pose.elements[14] ?? 0) / cell) * cell);
    this.stage.add(grid);
  }

  /** Takes over what moves: a line for each path, and its keys. */
  follow(targets: PathTarget[]): void {
    dispose(this.paths);
    this.dots = [];
    for (const { target, matrices, color, keys } of targets) {
      const line = places(matrices);
      if (moves(line)) this.paths.add(lineOf(line, color, 0.85));
      const own = keys.filter((key) => key * 3 < line.length).map((frame) => ({ target, frame, place: new Vector3().fromArray(line, frame * 3) }));
      if (!own.length) continue;
      this.dots.push(...own);
      const geometry = new BufferGeometry().setFromPoints(own.map((key) => key.place));
      const dots = new Points(geometry, new PointsMaterial({ color, size: 9, sizeAttenuation: false, depthTest: false }));
      dots.renderOrder = 3;
      this.paths.add(dots);
    }
  }

  /** Spheres that hold the scene's and all of this. */
  reach(spheres: readonly Sphere[]): Sphere[] {
    const eye = new Vector3().setFromMatrixPosition(this.at);
    return [...spheres, new Sphere(eye, 2.5 * this.size)];
  }

  /** Puts the shot's camera where it is at a frame. */
  film(motion: MotionData, frame: number, pose: Matrix4): void {
    const zoom = decodeFloats(motion.zoom)[frame] ?? 1;
    if (this.camera) {
      this.camera.removeFromParent();
      this.camera.geometry.dispose();
      (this.camera.material as LineBasicMaterial).dispose();
    }
    if (!this.lens) return;
    this.camera = frustum(this.lens, zoom, this.size * 0.22, CAMERA_COLOR);
    this.camera.matrix.copy(pose);
    this.root.add(this.camera);
  }
}
