/** The entities in the viewport: each is a mesh (or some) at the pose that the motion has at the frame. */

import { Box3, BufferAttribute, Group, Matrix4, Mesh, Sphere, Vector3 } from "three";
import type { Workspace } from "../api.ts";
import { decodeBytes, decodeFloats } from "../motion.ts";
import type { EntityMotion, MotionData, SceneData } from "../types.ts";
import { deformedNormals, shadingPoints } from "./deforming.ts";
import { EntityMaterial, MODES, type View } from "./materials.ts";
import { disposeShapes, loadShapes, type Shapes } from "./shapes.ts";

/** Poses that differ by less are one: matrices come in 32 bits. */
const AT_REST = 1e-4;
const UNKNOWN = "#9a9a9a";

class Actor {
  readonly node = new Group();
  motion: EntityMotion | null = null;
  visible: Uint8Array = new Uint8Array();
  /** Deformed vertices, frames × vertices × 3, of the revision that they were asked for; null where there are none. */
  vertices: Float32Array | null = null;
  asked = "";
  private drawn = -1;
  private points: Uint32Array | null = null;

  constructor(readonly name: string, readonly meshes: Mesh<Mesh["geometry"], EntityMaterial>[]) {
    this.node.matrixAutoUpdate = false;
    for (const mesh of meshes) {
      mesh.matrixAutoUpdate = false;
      mesh.userData.entity = name;
      this.node.add(mesh);
    }
  }

  pose(frame: number, into: Matrix4): Matrix4 {
    return this.motion ? into.fromArray(decodeFloats(this.motion.matrices), frame * 16) : into.identity();
  }

  deform(frame: number): void {
    const mesh = this.meshes[0];
    if (!this.vertices || !mesh || this.drawn === frame) return;
    const attributes = mesh.geometry.attributes as { position: BufferAttribute; normal: BufferAttribute };
    const size = attributes.position.array.length;
    const index = mesh.geometry.index;
    if (!index || this.vertices.length < (frame + 1) * size) return;
    this.points ??= shadingPoints(attributes.position.array, attributes.normal.array);
    attributes.position.copyArray(this.vertices.subarray(frame * size, (frame + 1) * size));
    deformedNormals(attributes.position.array as Float32Array, index.array, this.points, attributes.normal.array as Float32Array);
    attributes.position.needsUpdate = true;
    attributes.normal.needsUpdate = true;
    mesh.geometry.computeBoundingSphere();
    mesh.geometry.computeBoundingBox();
    this.drawn = frame;
  }

  forget(): void {
    this.drawn = -1;
  }
}

/** All entities of the workspace's scene. */
export class Actors {
  readonly root = new Group();
  private actors = new Map<string, Actor>();
  private shapes: Shapes = new Map();
  private sceneId = "";
  private motion: MotionData | null = null;
  private frame = 0;
  /** A pose that stands before the motion's while it is being dragged. */
  private held: { name: string; matrix: Matrix4 } | null = null;

  constructor(private readonly changed: () => void) {}

  /** Takes over the scene at rest; gives when its meshes are there. */
  async show(at: Workspace, scene: SceneData): Promise<void> {
    if (scene.id === this.sceneId) return;
    this.sceneId = scene.id;
    const found = await loadShapes(at.url(`scene/${encodeURIComponent(scene.id)}.glb`));
    if (scene.id !== this.sceneId) return disposeShapes(found);
    this.stand(found);
    if (this.motion) this.play(this.motion, scene);
  }

  /** Takes over the shapes of a scene at rest. */
  stand(shapes: Shapes): void {
    this.clear();
    this.shapes = shapes;
  }

  /** Takes over how an entity deforms: frames × vertices × 3. */
  deform(name: string, vertices: Float32Array): void {
    const actor = this.actors.get(name);
    if (!actor) return;
    actor.vertices = vertices;
    actor.forget();
  }

  /** Takes over a motion: who is there, and where. */
  play(motion: MotionData, scene: SceneData): void {
    this.motion = motion;
    const names = new Set(motion.entities.map((entity) => entity.name));
    for (const [name, actor] of this.actors) if (!names.has(name)) this.drop(actor);
    for (const entity of motion.entities) {
      const actor = this.actors.get(entity.name) ?? this.enter(entity, motion);
      if (!actor) continue;
      actor.motion = entity;
      actor.visible = decodeBytes(entity.visible);
      if (!entity.deforms) actor.vertices = null;
      const color = scene.entities.find((one) => one.name === entity.name)?.color ?? UNKNOWN;
      for (const mesh of actor.meshes) mesh.material.color = color;
    }
    this.at(Math.min(this.frame, motion.frames - 1));
  }

  private enter(entity: EntityMotion, motion: MotionData): Actor | null {
    const shape = this.shapeOf(entity.name, motion);
    if (shape === null) return null;
    const parts = this.shapes.get(shape) ?? [];
    const meshes = parts.map(
      (part) => new Mesh(entity.deforms ? part.geometry.clone() : part.geometry, new EntityMaterial(UNKNOWN, part.pixels, part.painted)),
    );
    const actor = new Actor(entity.name, meshes);
    this.actors.set(entity.name, actor);
    this.root.add(actor.node);
    return actor;
  }

  /** Whose mesh an entity has: its own, or that of what it is a copy of. */
  private shapeOf(name: string, motion: MotionData): string | null {
    let at: string | null = name;
    while (at !== null && !this.shapes.has(at)) at = motion.entities.find((one) => one.name === at)?.copyOf ?? null;
    return at;
  }

  private drop(actor: Actor): void {
    this.actors.delete(actor.name);
    actor.node.removeFromParent();
    for (const mesh of actor.meshes) mesh.material.dispose();
  }

  private clear(): void {
    for (const actor of [...this.actors.values()]) this.drop(actor);
    disposeShapes(this.shapes);
    this.shapes = new Map();
  }

  /** Fetches how entities deform in a saved revision; what was there is drawn until it comes. */
  async fetchDeformations(at: Workspace, revision: number): Promise<void> {
    const deforming = [...this.actors.values()].filter((actor) => actor.motion?.deforms && actor.asked !== `${revision}`);
    await Promise.all(
      deforming.map(async (actor) => {
        actor.asked = `${revision}`;
        const answer = await fetch(at.url(`vertices/${revision}/${encodeURIComponent(actor.name)}.bin`));
        if (!answer.ok || actor.asked !== `${revision}`) return;
        actor.vertices = new Float32Array(await answer.arrayBuffer());
        actor.forget();
        this.at(this.frame);
        this.changed();
      }),
    );
  }

  /** Poses everything as it is at a frame. */
  at(frame: number): void {
    this.frame = frame;
    for (const actor of this.actors.values()) {
      if (this.held?.name === actor.name) actor.node.matrix.copy(this.held.matrix);
      else actor.pose(frame, actor.node.matrix);
      actor.node.matrixWorldNeedsUpdate = true;
      actor.node.visible = actor.visible[frame] !== 0;
      actor.deform(frame);
    }
    this.root.updateMatrixWorld();
  }

  hold(name: string, matrix: Matrix4): void {
    this.held = { name, matrix: matrix.clone() };
    this.at(this.frame);
  }

  letGo(): void {
    this.held = null;
    this.at(this.frame);
  }

  /** Hides some in the view alone. */
  hide(names: readonly string[]): void {
    for (const actor of this.actors.values()) {
      if (names.includes(actor.name)) actor.node.visible = false;
    }
  }

  look(view: View, cameraFromWorld: Matrix4): void {
    for (const actor of this.actors.values()) {
      for (const mesh of actor.meshes) {
        mesh.material.mode = MODES[view];
        mesh.material.lightFrom(cameraFromWorld);
      }
    }
  }

  /** Whether all that the photo shows stands where it shows it. */
  get asInPhoto(): boolean {
    return [...this.shapes].every(([name, parts]) => {
      const [actor, rest] = [this.actors.get(name), parts[0]?.rest];
      if (!actor?.node.visible || !rest) return false;
      return actor.node.matrix.elements.every((value, index) => Math.abs(value - (rest.elements[index] as number)) < AT_REST);
    });
  }

  get names(): string[] {
    return [...this.actors.keys()];
  }

  meshesOf(name: string): Mesh[] {
    return this.actors.get(name)?.meshes ?? [];
  }

  visibleMeshes(): Mesh[] {
    return [...this.actors.values()].filter((actor) => actor.node.visible).flatMap((actor) => actor.meshes);
  }

  /** World from an entity as it is drawn now; null where there is no such one. */
  poseOf(name: string): Matrix4 | null {
    return this.actors.get(name)?.node.matrix.clone() ?? null;
  }

  /** Spheres in the world around what is shown. */
  spheres(): Sphere[] {
    return this.visibleMeshes().map((mesh) => {
      if (!mesh.geometry.boundingSphere) mesh.geometry.computeBoundingSphere();
      return (mesh.geometry.boundingSphere as Sphere).clone().applyMatrix4(mesh.matrixWorld);
    });
  }

  /** Height of an entity's lowest vertex in the world, at a pose. */
  lowest(name: string, pose: Matrix4): number {
    const point = new Vector3();
    let found = Number.POSITIVE_INFINITY;
    for (const mesh of this.meshesOf(name)) {
      const positions = mesh.geometry.attributes.position as BufferAttribute;
      for (let vertex = 0; vertex < positions.count; vertex++) {
        found = Math.min(found, point.fromBufferAttribute(positions, vertex).applyMatrix4(pose).y);
      }
    }
    return found;
  }

  bounds(): Box3 {
    const box = new Box3();
    for (const sphere of this.spheres()) box.union(sphere.getBoundingBox(new Box3()));
    return box;
  }
}
