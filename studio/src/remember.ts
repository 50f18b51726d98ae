/**
 * Where the person was, kept for each workspace in this browser: what the middle and the right side show, the playhead, what
 * is selected. What belongs to the work itself, whoever looks at it, is kept in the workspace (page.ts).
 */

import { effect, type Signal, untracked } from "@preact/signals";
import { document_, frame, place, playing, selected, tab, workspace } from "./state.ts";

const SPOTS: Record<string, Signal<unknown>> = { place, tab, frame, selected };

const keyOf = (id: string) => `r2s2r studio ${id}`;

/** What the browser knows of a workspace; nothing where its storage is shut, or holds something else. */
function known(id: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(keyOf(id)) ?? "{}");
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Goes where the person was last, as far as it is still there. */
export function returnTo(id: string): void {
  const found = known(id);
  const scene = document_.value?.scene;
  if (found.tab === "shot" || found.tab === "generate" || found.tab === "takes") tab.value = found.tab;
  if (found.place === "objects" || (scene && (found.place === "direct" || found.place === "compare"))) place.value = found.place;
  const last = (document_.value?.motion?.frames ?? 1) - 1;
  if (Number.isInteger(found.frame)) frame.value = Math.min(Math.max(found.frame as number, 0), last);
  const name = found.selected;
  if (name === null || name === "") selected.value = name;
  if (typeof name === "string" && document_.value?.motion?.entities.some((one) => one.name === name)) selected.value = name;
}

/** Keeps where the person is. Call it once. */
export function keepSpot(): void {
  effect(() => {
    const now = Object.fromEntries(Object.entries(SPOTS).map(([key, value]) => [key, value.value]));
    const [at, moving] = [workspace.value, playing.value];
    if (!at || moving || !untracked(() => document_.value)) return;
    try {
      localStorage.setItem(keyOf(at.id), JSON.stringify(now));
    } catch {
      // Storage is shut or full: the page works all the same.
    }
  });
}
