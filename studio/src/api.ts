/** Calls to the server. All addresses are relative to the page's, which carries the token. */

import type {
  DocumentData,
  GenerateRequest,
  JobData,
  JobKind,
  MadeData,
  MotionData,
  OptionData,
  ShotData,
  StatusData,
  TakeData,
  VerdictData,
} from "./types.ts";

/** The server's refusal, in words for people. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly document: DocumentData | null = null,
  ) {
    super(message);
  }
}

/** Sends a request and gives the answer's JSON. @throws Problem */
export async function call<T>(path: string, method = "GET", body?: unknown, headers: HeadersInit = {}): Promise<T> {
  const raw = body instanceof Blob || body instanceof ArrayBuffer;
  let answer: Response;
  try {
    answer = await fetch(`api/${path}`, {
      method,
      headers: raw || body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: raw ? (body as BodyInit) : body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new Problem("The server does not answer. Start r2s2r studio again; nothing that was saved is lost.", 0);
  }
  const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status} without a word.` }));
  if (!answer.ok) throw new Problem(found.error ?? `error ${answer.status}`, answer.status, found.document ?? null);
  return found as T;
}

export const status = () => call<StatusData>("status");
export const createFromPhoto = (photo: File) =>
  call<{ id: string }>("workspaces", "POST", photo, { "X-Name": encodeURIComponent(photo.name) });

/** One workspace: a photo, its scene, its shot. */
export class Workspace {
  constructor(readonly id: string) {}

  url(path: string): string {
    return `api/w/${this.id}/${path}`;
  }

  private ask<T>(path: string, method = "GET", body?: unknown, headers?: HeadersInit): Promise<T> {
    return call<T>(`w/${this.id}/${path}`, method, body, headers);
  }

  document = () => this.ask<DocumentData>("document");
  /** Edits of one `merge` word within a second become one step of undo. */
  edit = (base: number, label: string, shot: ShotData, merge?: string) =>
    this.ask<DocumentData>("edit", "POST", { base, label, shot, merge });
  /** The motion of a shot that is not saved. */
  attempt = (shot: ShotData) => this.ask<MotionData>("try", "POST", { shot });
  /** The shot in which `target` (an entity, or "" for the camera) has the given pose (16 numbers, column-major) at a frame. */
  keyframe = (shot: ShotData, target: string, frame: number, pose: number[], zoom?: number) =>
    this.ask<{ shot: ShotData; motion: MotionData }>("keyframe", "POST", { shot, target, frame, pose, zoom });
  undo = (base: number) => this.ask<DocumentData>("undo", "POST", { base });
  redo = (base: number) => this.ask<DocumentData>("redo", "POST", { base });
  keepPage = (page: Record<string, unknown>) => this.ask<object>("page", "PUT", page);

  jobs = () => this.ask<JobData[]>("jobs");
  start = (kind: JobKind, options: Record<string, unknown> = {}) => this.ask<JobData>("jobs", "POST", { kind, options });
  cancel = (job: string) => this.ask<object>(`jobs/${job}`, "DELETE");

  /** Goes on with a job that was cancelled or failed. */
  again = (job: string) => this.ask<JobData>(`jobs/${job}/again`, "POST");

  /** What the run folder holds. */
  made = () => this.ask<MadeData>("made");
  setAutomatic = (automatic: boolean) => this.ask<MadeData>("made", "PUT", { automatic });
  options = () => this.ask<OptionData[]>("generate");
  verdict = (request: GenerateRequest) => this.ask<VerdictData>("generate/verdict", "POST", request);

  takes = () => this.ask<TakeData[]>("takes");
  changeTake = (take: string, changes: { name?: string; keep?: boolean }) => this.ask<TakeData>(`takes/${take}`, "PATCH", changes);
  deleteTake = (take: string) => this.ask<object>(`takes/${take}`, "DELETE");
  loadTake = (take: string, base: number) => this.ask<DocumentData>(`takes/${take}/load`, "POST", { base });

  /** For everything that has no method of its own. */
  request = <T>(path: string, method = "GET", body?: unknown, headers?: HeadersInit) =>
    this.ask<T>(path, method, body, headers);
}
