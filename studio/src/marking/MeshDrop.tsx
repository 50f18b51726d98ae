/**
 * Meshes that are dropped on the page. For the viewport:
 *
 *     <MeshDrop nameAt={(event) => name of the entity under the pointer, or null for the ground}> … </MeshDrop>
 *
 * Onto an entity, the file replaces its mesh; onto the ground, it becomes a new entity, called after the file.
 */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { document_, guarded, inTurn, selected, tell, workspace } from "../state.ts";
import type { DocumentData } from "../types.ts";

const SUFFIXES = [".glb", ".obj", ".ply", ".stl"];

export const isMesh = (file: File) => SUFFIXES.some((suffix) => file.name.toLowerCase().endsWith(suffix));

/** What is read at the moment, or "". */
export const dropping = signal("");

export function MeshDrop({ nameAt, children }: { nameAt: (event: DragEvent) => string | null; children: ComponentChildren }) {
  const drop = (event: DragEvent) => {
    event.preventDefault();
    const target = nameAt(event);
    for (const file of event.dataTransfer?.files ?? []) void dropMesh(file, target);
  };
  return (
    <div class="mesh-drop" style={{ position: "absolute", inset: 0 }} onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      {children}
      {dropping.value && (
        <p class="stage-working" role="status">
          {dropping.value}
        </p>
      )}
    </div>
  );
}

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
