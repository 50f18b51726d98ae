/**
 * Meshes that are dropped on the page. `meshDrop(at)` gives an element's handlers; `at` says what is under the pointer: an
 * entity, whose mesh the file replaces, or a line of sight, and the file becomes a new entity that stands where the line
 * meets the ground. A job reads it; the entity is selected when it has come.
 */

import { effect, signal } from "@preact/signals";
import { document_, guarded, inTurn, jobs, selected, tell, workspace } from "../state.ts";
import type { JobData } from "../types.ts";
import type { Sight } from "./frame.ts";

const SUFFIXES = [".glb", ".obj", ".ply", ".stl"];

export const isMesh = (file: File) => SUFFIXES.some((suffix) => file.name.toLowerCase().endsWith(suffix));

export type DropTarget = { entity: string } | Sight;

/** Meshes that are being read: the job and the entity. */
const awaited = signal<{ job: string; name: string }[]>([]);

/** The job of a mesh that is being read, or null. */
export const reading = (): JobData | null => jobs.value.find((job) => awaited.value.some((each) => each.job === job.id)) ?? null;

/** What would become of the file that is over an element, or "". */
export const dropHint = signal("");

/** What an element needs to take meshes. With Shift they become new entities also on others. */
export const meshDrop = (at: (event: DragEvent) => DropTarget | null) => ({
  onDragOver: (event: DragEvent) => {
    event.preventDefault();
    const target = at(event);
    dropHint.value = target && "entity" in target ? `Takes the place of ${target.entity}'s mesh. Shift: a new object.` : "A new object, which stands here.";
  },
  onDragLeave: () => (dropHint.value = ""),
  onDrop: (event: DragEvent) => {
    event.preventDefault();
    dropHint.value = "";
    const target = at(event);
    for (const file of event.dataTransfer?.files ?? []) if (target) void dropMesh(file, target);
  },
});

/** Puts a mesh into the scene. */
export async function dropMesh(file: File, target: DropTarget): Promise<void> {
  if (!isMesh(file)) {
    tell(`'${file.name}' is no mesh that is read here; give a GLB, OBJ, PLY or STL file.`, "error");
    return;
  }
  const [name, where] =
    "entity" in target ? [target.entity, ""] : [freeName(file.name.replace(/\.[^.]*$/, "")), `&ray=${[...target.origin, ...target.direction].join(",")}`];
  await inTurn(async () => {
    const [at, now] = [workspace.value, document_.value];
    if (!at || !now) return;
    const path = `mesh?name=${encodeURIComponent(name)}&base=${now.revision}${where}`;
    const job = await guarded(() => at.request<JobData>(path, "POST", file, { "X-Name": encodeURIComponent(file.name) }));
    if (job) awaited.value = [...awaited.value, { job: job.id, name }];
  });
}

effect(() => {
  for (const { job: id, name } of awaited.value) {
    const job = jobs.value.find((each) => each.id === id);
    if (!job || job.state === "queued" || job.state === "running") continue;
    // The document comes by an event of its own, a moment before or after.
    if (job.state === "done" && !document_.value?.scene?.entities.some((entity) => entity.name === name)) continue;
    awaited.value = awaited.value.filter((each) => each.job !== id);
    if (job.state === "done") selected.value = name;
    if (job.state === "done") for (const note of job.notes) if (note.startsWith(`${name}:`)) tell(note);
    if (job.state === "failed") tell(job.error ?? "The mesh could not be read.", "error");
  }
});

/** A name that an entity may have, and none has or is about to have. */
function freeName(wanted: string): string {
  const plain = wanted.replace(/[^\p{L}\p{N}_. -]/gu, "_").replace(/^[^\p{L}\p{N}_]+/u, "").slice(0, 70).trim() || "mesh";
  const taken = new Set([...(document_.value?.scene?.entities ?? []), ...awaited.value].map((each) => each.name));
  let name = plain;
  for (let number = 2; taken.has(name); number++) name = `${plain}_${number}`;
  return name;
}
