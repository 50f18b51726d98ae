/** What is compared: two of the videos that there are, wiped or side by side. */

import { computed } from "@preact/signals";
import { keep } from "../page.ts";
import { document_, made, takes, workspace } from "../state.ts";

export interface Clip {
  /** "preview", "normals", "generated", or a take's id. */
  id: string;
  title: string;
  url: string;
  /** Why it is not what the document would give now, or "". */
  stale: string;
}

const RUN = [
  ["preview", "Preview"],
  ["normals", "Normals"],
  ["generated", "Generated"],
] as const;

/** Everything that can be compared. */
export const clips = computed<Clip[]>(() => {
  const [at, now] = [workspace.value, made.value];
  if (!at) return [];
  const run = RUN.flatMap(([id, title]) => {
    const video = now?.[id];
    if (!video) return [];
    const stale = video.current ? (video.draft ? "a draft" : "") : "of an earlier shot";
    return [{ id, title, url: at.url(`files/${id}.mp4?v=${video.version}`), stale }];
  });
  const scene = document_.value?.scene?.id;
  const shelf = takes.value.map((take) => ({
    id: take.id,
    title: take.name,
    url: at.url(`takes/${take.id}/video.mp4`),
    stale: take.scene !== scene ? "of another scene" : take.state !== now?.state ? "of another shot" : "",
  }));
  return [...run, ...shelf];
});

export const leftVideo = keep("compareLeft", "preview");
export const rightVideo = keep("compareRight", "normals");
export const mode = keep<"wipe" | "beside">("compareMode", "wipe");
/** Where the wipe's line stands, 0…1 of the width. */
export const wipe = keep("compareWipe", 0.5);

/** The clip of that id, or else the first there is. */
export const clipOf = (id: string): Clip | null => clips.value.find((clip) => clip.id === id) ?? clips.value[0] ?? null;
