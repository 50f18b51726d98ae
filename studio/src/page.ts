/** What the page wants to find again when it opens the workspace next time (page.json): selection, locks, marks, sizes. */

import { effect, type Signal, signal } from "@preact/signals";
import { document_, guarded, selected, view, workspace } from "./state.ts";

const kept = new Map<string, { value: Signal<unknown>; initial: unknown }>();
let written = "";
let timer = 0;

/** A signal whose value is kept in the workspace under `key`. Call it once, at the top of a module. */
export function keep<T>(key: string, initial: T): Signal<T> {
  return adopt(key, signal(initial), initial);
}

function adopt<T>(key: string, value: Signal<T>, initial: T): Signal<T> {
  if (kept.has(key)) throw new Error(`two things want to be kept as '${key}'`);
  kept.set(key, { value: value as Signal<unknown>, initial });
  return value;
}

adopt("selected", selected, null);
adopt("view", view, "textured");

function current(): Record<string, unknown> {
  return Object.fromEntries([...kept].map(([key, { value }]) => [key, value.value]));
}

/** Takes over what the workspace kept; what it lacks is as at first. */
export function restorePage(page: Record<string, unknown>): void {
  for (const [key, { value, initial }] of kept) value.value = key in page ? page[key] : initial;
  written = JSON.stringify(current());
}

/** Writes what is kept, a moment after it changed. Call it once. */
export function keepPageWritten(): void {
  effect(() => {
    const text = JSON.stringify(current());
    if (!workspace.value || !document_.value || text === written) return;
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const at = workspace.value;
      if (!at) return;
      written = text;
      void guarded(() => at.keepPage(JSON.parse(text) as Record<string, unknown>));
    }, 400);
  });
}
