/**
 * Meshes that are dropped on the page. `meshDrop(nameAt)` gives an element's handlers; `nameAt` says which entity is under
 * the pointer, or null for the ground. Onto an entity, the file replaces its mesh; onto the ground, it becomes a new one,
 * called after the file.
 */

import { signal } from "@preact/signals";
import { document_, guarded, inTurn, selected, tell, workspace } from "../state.ts";
import type { DocumentData } from "../types.ts";

const SUFFIXES = [".glb", ".obj", ".ply", ".stl"];

export const isMesh = (file: File) => SUFFIXES.some((suffix) => file.name.toLowerCase().endsWith(suffix));

/** What is read at the moment, or "". */
export const dropping = signal("");

/** What an element needs to take meshes. */
export const meshDrop = (nameAt: (event: DragEvent) => string | null) => ({
  onDragOver: (event: DragEvent) => event.preventDefault(),
  onDrop: (event: DragEvent) => {
    event.preventDefault();
    const target = nameAt(event);
    for (const file of event.dataTransfer?.files ?? []) void dropMesh(file, target);
  },
});

/** Replaces an entity's mesh, or adds one where `target` is null. */
export async function dropMesh(file: File, target: string | null): Promise<void> {
  if (!isMesh(file)) {
    tell(`'${file.name}' is no mesh that is read here; give a GLB, OBJ, PLY or STL file.`, "error");
    return;
  }
  const name = target ?? freeName(file.name.replace(/\.[^.]*$/, ""));
  await inTurn(async () => {
    const [at, now] = [workspace.value, document_.value];
    if (!at || !now) return;
    dropping.value = `Reading ${file.name}…`;
    const path = `mesh?name=${encodeURIComponent(name)}&base=${now.revision}`;
    const found = await guarded(() => at.request<DocumentData>(path, "POST", file, { "X-Name": encodeURIComponent(file.name) }));
    dropping.value = "";
    if (!found) return;
    document_.value = found;
    selected.value = name;
  });
}

/** A name that an entity may have, and none has. */
function freeName(wanted: string): string {
  const plain = wanted.replace(/[^\p{L}\p{N}_. -]/gu, "_").replace(/^[^\p{L}\p{N}_]+/u, "") || "mesh";
  const taken = new Set(document_.value?.scene?.entities.map((entity) => entity.name));
  let name = plain;
  for (let number = 2; taken.has(name); number++) name = `${plain}_${number}`;
  return name;
}
