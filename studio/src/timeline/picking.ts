/** The keys and bars that are picked in the dope sheet, and what can be done with them. */

import { computed, effect, signal } from "@preact/signals";
import { dropDraft, keepDraft, keepKeyframe, shot, tryEdit } from "../live.ts";
import { poseAt, zoomAt } from "../motion.ts";
import { type Clip, copied, deleted, type Edited, easedBy, moved, pasted, type Sheet, spanSet, stretched } from "../shot/edits.ts";
import { movesOf } from "../shot/moves.ts";
import type { FrameSpan } from "../shot/times.ts";
import { type Ref, type Row, rowsOf, sameRef } from "../shot/tracks.ts";
import { frame, freeView, motion, saveShot, selected, tell } from "../state.ts";
import type { ShotData } from "../types.ts";
import { sheet } from "../words.ts";

const chosen = signal<Ref[]>([]);
const clipboard = signal<Clip | null>(null);
/** Keys stand on whole frames. */
export const snapping = signal(true);

/** All rows of the shot, by target. */
export const rows = computed<Map<string, Row[]>>(() => {
  const known = sheet.value;
  const targets = ["", ...Object.keys(shot.value.entities ?? {})];
  return new Map(known ? targets.map((target) => [target, rowsOf(shot.value, target, known.clock, known.vocabulary)]) : []);
});

/** What is picked and still there. */
export const picked = computed(() => chosen.value.filter(exists));

function exists(ref: Ref): boolean {
  const row = rows.value.get(ref.target)?.[ref.move];
  return row !== undefined && (ref.key === null || (row.keys?.some((mark) => mark.key === ref.key) ?? false));
}

export const isPicked = (refs: Ref[]): boolean => refs.some((ref) => picked.value.some((each) => sameRef(each, ref)));

/** Picks these alone, or adds to what is picked or takes away from it. */
export function pick(refs: Ref[], add = false): void {
  if (!add) chosen.value = refs;
  else if (isPicked(refs)) chosen.value = picked.value.filter((each) => !refs.some((ref) => sameRef(each, ref)));
  else chosen.value = [...picked.value, ...refs];
  const [first] = refs;
  if (first && refs.every((ref) => ref.target === first.target)) selected.value = first.target;
}

// Who selects another object means that one: Delete is for it then, and not for keys picked before.
effect(() => {
  const now = selected.value;
  if (now !== null && chosen.peek().length && !chosen.peek().some((ref) => ref.target === now)) chosen.value = [];
});

/** First and last frame of what is picked; null for nothing. */
export const pickedSpan = computed<FrameSpan | null>(() => {
  const frames = picked.value.flatMap(framesOf);
  return frames.length ? { start: Math.min(...frames), end: Math.max(...frames) } : null;
});

function framesOf(ref: Ref): number[] {
  const row = rows.value.get(ref.target)?.[ref.move];
  const marks = row?.keys?.filter((mark) => mark.key === ref.key || (ref.key === null && mark.key >= 0)) ?? [];
  if (marks.length) return marks.map((mark) => mark.frame);
  return row?.span ? [row.span.start, row.span.end] : [];
}

/** The easing of what is picked; null where there is none or they differ. */
export const pickedEasing = computed<string | null>(() => {
  const found = new Set(picked.value.map(easingOf));
  return found.size === 1 ? ([...found][0] ?? null) : null;
});

function easingOf(ref: Ref): string | null {
  const row = rows.value.get(ref.target)?.[ref.move];
  if (ref.key === null) return row?.easing ?? null;
  return row?.keys?.find((mark) => mark.key === ref.key)?.easing ?? null;
}

/** "3 keys", "the orbit", for labels of undo. */
export function pickedName(refs = picked.value): string {
  const [only] = refs;
  if (refs.length !== 1 || !only) return `${refs.length} keys`;
  const row = rows.value.get(only.target)?.[only.move];
  return only.key === null ? `${row?.name ?? "move"}` : `key of ${only.target || "camera"}`;
}

const known = (): Sheet | null => sheet.peek();
/** The photo's own pose is not moved, copied or deleted. */
const real = (refs: Ref[]) => refs.filter((ref) => ref.key === null || ref.key >= 0);

/** Tries an edit while a pointer moves, and follows where the picked keys are then. Call `settle` on release. */
function tryPicked(edit: (now: ShotData, at: Sheet) => Edited): void {
  const at = known();
  if (!at) return;
  tryEdit((now) => {
    const edited = edit(now, at);
    chosen.value = edited.refs;
    return edited.shot;
  });
}

export function tryMoved(refs: Ref[], by: number): void {
  if (real(refs).length) tryPicked((now, at) => moved(now, real(refs), by, at));
}

export function tryStretched(refs: Ref[], about: number, factor: number): void {
  if (real(refs).length) tryPicked((now, at) => stretched(now, real(refs), about, factor, at));
}

export function trySpan(ref: Ref, span: FrameSpan): void {
  tryPicked((now, at) => ({ shot: spanSet(now, ref, span, at), refs: [ref] }));
}

export function tryEasing(refs: Ref[], easing: string): void {
  tryPicked((now, at) => ({ shot: easedBy(now, refs, easing, at), refs: photoKeysFirst(refs) }));
}

/** Saves what was tried. */
export const settle = (label: string): Promise<boolean> => keepDraft(label);

/** Gives up what was tried; `refs` were picked before. */
export function giveUp(refs: Ref[]): void {
  dropDraft();
  chosen.value = refs;
}

export function setEasing(easing: string): void {
  const refs = picked.value;
  const at = known();
  if (!refs.length || !at) return;
  void saveShot(`Easing ${easing.split(" ")[0]}`, (now) => easedBy(now, refs, easing, at)).then((saved) => {
    if (saved) chosen.value = photoKeysFirst(refs);
  });
}

/** The photo's pose became the first key of its list: all others count one more. */
export function photoKeysFirst(refs: Ref[]): Ref[] {
  const grown = (ref: Ref) => refs.some((each) => each.key === -1 && each.target === ref.target && each.move === ref.move);
  return refs.map((ref) => (ref.key !== null && grown(ref) ? { ...ref, key: ref.key + 1 } : ref));
}

export function deletePicked(): void {
  const refs = real(picked.value);
  const at = known();
  if (!refs.length || !at) return;
  const label = `Delete ${pickedName(refs)}`;
  chosen.value = [];
  void saveShot(label, (now) => deleted(now, refs, at));
}

export function copyPicked(): void {
  const at = known();
  const refs = real(picked.value);
  if (!at || !refs.length) return;
  clipboard.value = copied(shot.value, refs, at);
}

export const canPaste = computed(() => clipboard.value !== null);

export function pasteAtPlayhead(): void {
  const [clip, at] = [clipboard.value, known()];
  if (!clip || !at) return;
  const [to, onto] = [frame.value, selected.value];
  const done: ReturnType<typeof pasted>[] = [];
  void saveShot(`Paste ${clip.items.length === 1 ? "a key" : `${clip.items.length} keys`}`, (now) => {
    done[0] = pasted(now, clip, to, onto, at);
    return done[0].shot;
  }).then((saved) => {
    const [found] = done;
    if (!saved || !found) return;
    chosen.value = found.refs;
    if (found.left) tell(`${found.left} of the copied keys would stand after the end of the shot and were left out.`);
  });
}

/** Sets a keyframe of what is selected at the playhead: its pose now, or the free view's for the camera. */
export async function keyNow(target = selected.value): Promise<void> {
  const [now, at] = [motion.value, frame.value];
  if (target === null || !now) {
    tell("Select the camera or an object first; K keeps its pose at the playhead as a key.");
    return;
  }
  const view = target === "" ? freeView.value : null;
  const pose = view?.pose ?? poseAt(now, target, at);
  if (!pose) return;
  const zoomed = target === "" ? (view?.zoom ?? zoomAt(now, at)) : undefined;
  if (await keepKeyframe(`Key for ${target || "camera"}`, target, at, pose, zoomed)) pickKeyAt(target, at);
}

/** Picks the key of a target that stands on a frame. */
export function pickKeyAt(target: string, at: number): void {
  for (const row of rows.value.get(target) ?? []) {
    const mark = row.keys?.find((key) => key.key >= 0 && Math.abs(key.frame - at) < 0.5);
    if (mark) chosen.value = [{ target, move: row.move, key: mark.key }];
  }
}

/** Goes to the nearest key of what is selected, or of anything, before or after the playhead. */
export function neighbour(way: 1 | -1): number | null {
  const of = selected.value;
  const own = of === null ? undefined : rows.value.get(of);
  const frames = (own?.length ? own : [...rows.value.values()].flat()).flatMap((row) => row.keys?.map((mark) => mark.frame) ?? []);
  const ahead = frames.filter((each) => (each - frame.value) * way > 0.5);
  return ahead.length ? (way > 0 ? Math.min(...ahead) : Math.max(...ahead)) : null;
}

/** Number of moves of a target, for the list of names. */
export const moveCount = (target: string): number => {
  const at = sheet.value;
  return at ? movesOf(shot.value, target, at.vocabulary).length : 0;
};
