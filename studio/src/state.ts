/** What the page shows, as signals; every panel reads these and nobody keeps a copy. */

import { computed, signal } from "@preact/signals";
import { Problem, Workspace } from "./api.ts";
import type { DocumentData, JobData, MadeData, MotionData, ShotData, TakeData } from "./types.ts";

export const workspace = signal<Workspace | null>(null);
export const document_ = signal<DocumentData | null>(null);
/** The motion of an edit that is not saved yet (a slider or a gizmo is being dragged), or null. */
export const attempted = signal<MotionData | null>(null);
export const motion = computed(() => attempted.value ?? document_.value?.motion ?? null);
/** Name of the selected entity, "" for the camera, null for nothing. */
export const selected = signal<string | null>(null);
export const frame = signal(0);
export const playing = signal(false);
/** What the middle of the page is for: marking objects on the photo, directing the scene, comparing videos. */
export const place = signal<"objects" | "direct" | "compare">("direct");
/** What the right side shows. */
export const tab = signal<"shot" | "generate" | "takes">("shot");
/** What the viewport shows of the scene. */
export const view = signal<"shaded" | "textured" | "normals" | "ids">("textured");
/**
 * Camera of the free view (world from camera, 16 numbers, column-major) and its focal length over the photo's; null while
 * the viewport looks through the shot's camera.
 */
export const freeView = signal<{ pose: number[]; zoom: number } | null>(null);
/** Number of changes that are not answered yet. */
export const unsaved = signal(0);
export const jobs = signal<JobData[]>([]);
export const takes = signal<TakeData[]>([]);
/** What the run folder holds, or null before the server has said. */
export const made = signal<MadeData | null>(null);
/** Messages for the person, newest last. */
export const messages = signal<{ id: number; kind: "error" | "note"; text: string }[]>([]);

let counter = 0;

/** Shows a message until it is closed; one that is shown already is not shown twice. */
export function tell(text: string, kind: "error" | "note" = "note"): void {
  if (messages.value.some((message) => message.text === text)) return;
  messages.value = [...messages.value, { id: ++counter, kind, text }];
}

/** Takes a message away. */
export function dismiss(id: number): void {
  messages.value = messages.value.filter((message) => message.id !== id);
}

/** Runs something that may be refused, and tells the person if it is; gives null then. */
export async function guarded<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 409 && error.document) document_.value = error.document;
    tell(error.message, "error");
    return null;
  }
}

let queue: Promise<unknown> = Promise.resolve();

/** Edits wait for each other, so that each is made on what the one before left. */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  unsaved.value++;
  const next = queue.then(work, work).finally(() => unsaved.value--);
  queue = next.catch(() => undefined);
  return next;
}

/** Saves a changed shot as one step of undo. */
export function saveShot(label: string, change: (shot: ShotData) => ShotData, merge?: string): Promise<DocumentData | null> {
  return inTurn(() =>
    guarded(async () => {
      const [at, now] = [workspace.value, document_.value];
      if (!at || !now) return null;
      const found = await at.edit(now.revision, label, change(structuredClone(now.shot)), merge);
      document_.value = found;
      attempted.value = null;
      for (const note of found.motion?.notes ?? []) if (note.includes("motion of its own") && !now.motion?.notes.includes(note)) tell(note);
      return found;
    }),
  );
}
