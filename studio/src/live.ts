/**
 * Edits that a person is in the middle of: a slider, a key or a gizmo is being dragged. What is dragged is performed by
 * the server as fast as it answers, and saved as one step of undo on release.
 */

import { batch, computed, signal } from "@preact/signals";
import { Problem } from "./api.ts";
import { attempted, document_, guarded, saveShot, workspace } from "./state.ts";
import type { MotionData, ShotData } from "./types.ts";

/** The shot that is being tried, or null. */
const draft = signal<ShotData | null>(null);
/** The shot as the page shows it: with what is being dragged. */
export const shot = computed<ShotData>(() => draft.value ?? document_.value?.shot ?? {});
export const trying = computed(() => draft.value !== null);
/** Why what is being dragged cannot be performed, or null. */
export const draftProblem = signal<string | null>(null);

type Ask = () => Promise<{ shot: ShotData; motion: MotionData } | null>;

let change: ((shot: ShotData) => ShotData) | null = null;
let waiting: Ask | null = null;
let running: Promise<void> | null = null;
/** Counts gestures, so that the end of one does not end the next. */
let gesture = 0;

/** Tries an edit of the saved shot; the last of many wins. Call `keepDraft` or `dropDraft` in the end. */
export function tryEdit(edit: (shot: ShotData) => ShotData): void {
  const now = document_.value;
  if (!now) return;
  gesture++;
  change = edit;
  const next = edit(structuredClone(now.shot));
  draft.value = next;
  ask(async () => {
    const motion = await workspace.value?.attempt(next);
    return motion ? { shot: next, motion } : null;
  });
}

/** Tries a pose (16 numbers, column-major) of `target` ("" is the camera) as a keyframe, which the server solves. */
export function tryKeyframe(target: string, frame: number, pose: number[], zoom?: number): void {
  const now = document_.value;
  if (!now) return;
  gesture++;
  ask(async () => {
    const found = await workspace.value?.keyframe(now.shot, target, frame, pose, zoom);
    if (!found) return null;
    change = () => found.shot;
    return found;
  });
}

function ask(next: Ask): void {
  waiting = next;
  running ??= answerAll().finally(() => {
    running = null;
  });
}

async function answerAll(): Promise<void> {
  while (waiting) {
    const next = waiting;
    waiting = null;
    try {
      const found = await next();
      if (!found) continue;
      batch(() => {
        draftProblem.value = null;
        attempted.value = found.motion;
        if (!waiting) draft.value = found.shot;
      });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      draftProblem.value = error.message;
    }
  }
}

/** Saves what was tried as one step of undo; gives false where it was refused or nothing was tried. */
export async function keepDraft(label: string, merge?: string): Promise<boolean> {
  await running;
  const edit = change;
  if (!edit) {
    if (draftProblem.value) await guarded(() => Promise.reject(new Problem(draftProblem.value ?? "", 422)));
    dropDraft();
    return false;
  }
  change = null;
  const mine = gesture;
  const saved = await saveShot(label, edit, merge);
  if (mine === gesture) dropDraft();
  return saved !== null;
}

/** Back to what is saved. */
export function dropDraft(): void {
  waiting = null;
  change = null;
  batch(() => {
    draft.value = null;
    attempted.value = null;
    draftProblem.value = null;
  });
}

/** Sets a keyframe at once, as one step of undo. */
export function keepKeyframe(label: string, target: string, frame: number, pose: number[], zoom?: number): Promise<boolean> {
  tryKeyframe(target, frame, pose, zoom);
  return keepDraft(label);
}
