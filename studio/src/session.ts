/** Opening a workspace, staying in step with the server, and going back and forth in its history. */

import { batch, effect, signal } from "@preact/signals";
import { createFromPhoto, status, Workspace } from "./api.ts";
import { keepPageWritten, restorePage } from "./page.ts";
import { keepSpot, returnTo } from "./remember.ts";
import {
  attempted,
  document_,
  frame,
  guarded,
  inTurn,
  jobs,
  made,
  motion,
  place,
  playing,
  selected,
  takes,
  tell,
  workspace,
} from "./state.ts";
import type { DocumentData, JobData, MadeData, StatusData, TakeData } from "./types.ts";

export const serverStatus = signal<StatusData | null>(null);
/** False while the server cannot be reached. */
export const connected = signal(true);

let stream: EventSource | null = null;

/** Asks for the server's state and opens the workspace that the address or the command names. */
export async function begin(): Promise<void> {
  keepPageWritten();
  keepSpot();
  effect(stayInsideTheShot);
  addEventListener("hashchange", () => void openNamed());
  serverStatus.value = await guarded(status);
  await openNamed();
}

async function openNamed(): Promise<void> {
  const id = new URLSearchParams(location.hash.slice(1)).get("w") ?? serverStatus.value?.open ?? null;
  if (id === (workspace.value?.id ?? null)) return;
  if (id === null) leave();
  else await open(id);
}

/** Shows a workspace; the address remembers it. */
export async function open(id: string): Promise<void> {
  leave();
  const at = new Workspace(id);
  const found = await guarded(() => at.document());
  if (!found) return;
  batch(() => {
    workspace.value = at;
    document_.value = found;
    frame.value = 0;
    place.value = found.scene ? "direct" : "objects";
    restorePage(found.page);
    returnTo(id);
    if (selected.value && !found.motion?.entities.some((entity) => entity.name === selected.value)) selected.value = null;
  });
  history.replaceState(null, "", `#w=${encodeURIComponent(id)}`);
  listen(at);
  jobs.value = (await guarded(() => at.jobs())) ?? [];
  takes.value = (await guarded(() => at.takes())) ?? [];
  made.value = await guarded(() => at.made());
}

/** Goes back to the list of workspaces. */
export async function close(): Promise<void> {
  leave();
  history.replaceState(null, "", "#");
  serverStatus.value = await guarded(status);
}

function leave(): void {
  stream?.close();
  stream = null;
  batch(() => {
    workspace.value = null;
    document_.value = null;
    attempted.value = null;
    playing.value = false;
    selected.value = null;
    jobs.value = [];
    takes.value = [];
    made.value = null;
  });
}

function listen(at: Workspace): void {
  const events = new EventSource(at.url("events"));
  stream = events;
  let lost = false;
  events.onopen = () => {
    connected.value = true;
    if (lost) void refresh(at);
    lost = false;
  };
  events.onerror = () => {
    lost = true;
    connected.value = false;
  };
  events.addEventListener("document", (event) => {
    const { revision } = JSON.parse((event as MessageEvent<string>).data) as { revision: number };
    void refresh(at, revision);
  });
  events.addEventListener("jobs", (event) => {
    jobs.value = JSON.parse((event as MessageEvent<string>).data) as JobData[];
  });
  events.addEventListener("takes", (event) => {
    takes.value = JSON.parse((event as MessageEvent<string>).data) as TakeData[];
  });
  events.addEventListener("made", (event) => {
    made.value = JSON.parse((event as MessageEvent<string>).data) as MadeData;
  });
}

/** Fetches the document if it is not what the page has; waits for edits under way, whose answers carry it. */
function refresh(at: Workspace, revision?: number): Promise<void> {
  return inTurn(async () => {
    if (workspace.value !== at || document_.value?.revision === revision) return;
    const found = await guarded(() => at.document());
    if (found && workspace.value === at) document_.value = found;
  });
}

const step = (way: "undo" | "redo") =>
  inTurn(() =>
    guarded(async () => {
      const [at, now] = [workspace.value, document_.value];
      if (!at || !now) return;
      const label = now[way];
      if (label === null) return;
      const found: DocumentData = await at[way](now.revision);
      batch(() => {
        attempted.value = null;
        document_.value = found;
      });
    }),
  );

export const undo = () => step("undo");
export const redo = () => step("redo");

/** Makes a workspace of a photo and opens it. */
export async function openPhoto(photo: File): Promise<void> {
  const limit = serverStatus.value?.limits.photoBytes ?? Number.POSITIVE_INFINITY;
  if (photo.size > limit) {
    tell(`'${photo.name}' has ${megabytes(photo.size)}; a photo may have ${megabytes(limit)}. Save it smaller, as a JPEG.`, "error");
    return;
  }
  const made = await guarded(() => createFromPhoto(photo));
  if (made) await open(made.id);
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function stayInsideTheShot(): void {
  const frames = motion.value?.frames;
  if (frames !== undefined && frame.value > frames - 1) frame.value = frames - 1;
}
