/** What the server and the page tell each other; `real2sam2real/studio/messages.py` is the other side. */

/** A number array as base64 of little-endian values. Matrices are column-major, as three.js has them. */
export type Base64 = string;

/** A move as a shot file has it, such as `{ orbit: "30 deg", around: "car" }`, or a move's bare name. */
export type MoveData = string | Record<string, unknown>;

/** A shot in the words of a shot file (docs/shots.md). */
export interface ShotData {
  frames?: number;
  fps?: number;
  prompt?: string;
  seed?: number;
  camera?: MoveData[];
  entities?: Record<string, MoveData[]>;
}

export interface Intrinsics {
  width: number;
  height: number;
  fx: number;
  fy: number;
  cx: number;
  cy: number;
}

/** What a person has marked on the photo, before it is lifted. */
export interface MaskObject {
  id: string;
  name: string;
  /** x0, y0, x1, y1 in pixels of the photo's file, as all points. */
  box: [number, number, number, number] | null;
  inside: [number, number][];
  outside: [number, number][];
  /** How the mask came about. */
  source: "box" | "points" | "text" | "proposed" | "brush" | "file";
  /** Share of the photo's pixels. */
  area: number;
  /** Changes whenever the mask does; part of its URL. */
  version: string;
  color: string;
  /** The word that found it, or "". */
  word: string;
  /** What the lifter takes it for by its name, such as "round" or "car"; null where the name does not say. */
  kind: string | null;
  /** Whether a person painted on it, or gave its mask. */
  painted: boolean;
  /** No object of its own: it hides a part of others. */
  occluder: boolean;
  /** Null for the usual one. */
  lifter: string | null;
  /** The file of a mesh of its own, as the person called it; null without one. */
  mesh: string | null;
  relation: { word: "on" | "with" | "floating"; to: string | null } | null;
}

/** How the objects are cut out and lifted, as `r2s2r lift` is told of it. */
export interface LiftChoice {
  segmenter: "embedded" | "grabcut" | "sam2" | "sam3";
  /** For all objects; null for the usual ones. */
  lifter: string | null;
  max_faces: number;
  contact: "auto" | "off";
  billboards: boolean;
  align: boolean;
  depth: "none" | "moge" | "depth-pro";
  /** A depth map of the person's own, in place of `depth`; brought by its file. */
  depth_file: string | null;
  depth_name: string;
  depth_kind: "auto" | "metric" | "relative" | "disparity" | "inverse";
}

/** Something that can be chosen, and what it says where it cannot be used. */
export interface Choice {
  name: string;
  title: string;
  ready: boolean;
  says: string;
}

/** What there is on this machine to cut out, to look and to lift. */
export interface MarkingChoices {
  segmenters: Choice[];
  lifters: Choice[];
  depths: Choice[];
  /** That the embedded segmenter knows. */
  words: string[];
}

/** What is known of the photo's camera; null where it is estimated. The focal length is in pixels of the photo's file. */
export interface ViewData {
  focal: number | null;
  pitch: number | null;
  roll: number | null;
  /** What the last lift estimated or was told, for the lines in the page. */
  estimated: { focal: number; pitch: number; roll: number } | null;
  /** What the last lift says where the horizon is a guess of it; null where something tells, or somebody said it. */
  guess: string | null;
}

export interface EntityData {
  name: string;
  /** Instance id of renders: 1 for the first. */
  index: number;
  color: string;
  faces: number;
  /** Bounds of the mesh in the object frame. */
  lower: [number, number, number];
  upper: [number, number, number];
  inPhoto: boolean;
  /** Degrees about +Y from +Z to its front; null where nobody knows. */
  facing: number | null;
  relation: { word: "on" | "with" | "floating"; to: string | null; guessed: boolean } | null;
  /** Names of the joints that a shot can bend. */
  joints: string[];
  copyOf: string | null;
  /** What makes the mesh hard to believe, or null. */
  warning: string | null;
}

export interface SceneData {
  /** Changes whenever the scene at rest does; its GLB is `scene/ID.glb`. */
  id: string;
  unit: string;
  groundY: number | null;
  intrinsics: Intrinsics;
  photoWorldFromCamera: number[];
  entities: EntityData[];
}

export interface EntityMotion {
  name: string;
  /** float32, frames × 16: world from object. */
  matrices: Base64;
  /** uint8, frames. */
  visible: Base64;
  /** True where `vertices/REVISION/NAME.bin` has float32 frames × vertices × 3 in the object frame. */
  deforms: boolean;
  copyOf: string | null;
}

/** The shot performed: everything that moves, at every frame. */
export interface MotionData {
  frames: number;
  fps: number;
  /** float32, frames × 16: world from camera. */
  camera: Base64;
  /** float32, frames: focal length over the photo's. */
  zoom: Base64;
  entities: EntityMotion[];
  /** Frames of camera keyframes and entity keyframes, resolved from seconds and percent; index by move and key. */
  notes: string[];
}

export interface DocumentData {
  id: string;
  name: string;
  revision: number;
  undo: string | null;
  redo: string | null;
  /** At the size at which it is worked on; `shrink` is its pixels per pixel of the file, in which marks count. */
  photo: { width: number; height: number; shrink: number } | null;
  objects: MaskObject[];
  view: ViewData;
  lift: LiftChoice;
  /** What does the same in the shell: masks, then lift; none where nothing is marked. */
  commands: string[];
  scene: SceneData | null;
  shot: ShotData;
  motion: MotionData | null;
  notes: string[];
  /** What the workspace was made from has changed since; `POST source {base}` takes it over again. */
  sourceChanged?: boolean;
  /** What the page wants to find again: selection, locks, marks, panels. The server keeps it and does not look in. */
  page: Record<string, unknown>;
}

export type JobKind = "lift" | "mesh" | "preview" | "generate";

export interface JobData {
  id: string;
  kind: JobKind;
  title: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** What it does now. */
  step: string;
  done: number;
  total: number;
  secondsLeft: number | null;
  notes: string[];
  error: string | null;
  /** Revision that it was started from. */
  revision: number;
  /** Nobody asked for it: it gives way to jobs that somebody did ask for. */
  automatic: boolean;
  /** Number of the newest live picture, `jobs/ID/picture?n=N`; 0 where there is none. */
  picture: number;
}

export interface TakeData {
  id: string;
  name: string;
  made: string;
  seconds: number;
  keep: boolean;
  checkpoint: string;
  preset: string | null;
  seed: number;
  prompt: string;
  frames: number;
  fps: number;
  width: number;
  height: number;
  /** Id of the scene that it was made of. */
  scene: string;
  /** Key of shot and scene that it was made of; see `MadeData`. */
  state: string;
  notes: string[];
  /** What it was generated with. */
  options: GenerateRequest;
}

/** What a generation is asked for: values of `OptionData` by name, the size of the control and the take's name. */
export interface GenerateRequest {
  generate: Record<string, OptionValue>;
  size?: string | null;
  name?: string | null;
}

export type OptionValue = string | number | boolean | string[] | null;

/** An option of the video model, as the command line has it. */
export interface OptionData {
  name: string;
  /** One of the few that most people choose. */
  main: boolean;
  help: string;
  default: OptionValue;
  type: "choice" | "texts" | "switch" | "integer" | "number" | "text";
  /** It can be left to the checkpoint: null. */
  optional: boolean;
  choices: string[];
}

/** Whether this machine can do a generation. */
export interface VerdictData {
  machine: string;
  /** Checkpoints that are installed. */
  checkpoints: string[];
  fits: boolean;
  why: string;
  /** Memory plans, each with why it cannot run, or null; none for a small checkpoint. */
  plans: { name: string; purpose: string; refusal: string | null }[];
  passes: number | null;
  /** About how long it takes, where an earlier take tells. */
  seconds: number | null;
}

/** A video in the run folder. */
export interface MadeVideo {
  /** Changes whenever the video does. */
  version: string;
  /** Of the document as it is now. */
  current: boolean;
  draft: boolean;
}

export interface MadeData {
  /** Previews are made by themselves. */
  automatic: boolean;
  /** Key of the shot and the scene as they are now; null without a scene. */
  state: string | null;
  preview: MadeVideo | null;
  normals: MadeVideo | null;
  generated: MadeVideo | null;
}

export interface WorkspaceData {
  id: string;
  name: string;
  changed: string;
  hasScene: boolean;
}

export interface StatusData {
  version: string;
  workspaces: WorkspaceData[];
  /** The workspace that the command named, or null. */
  open: string | null;
  limits: { photoBytes: number; meshBytes: number; maskBytes: number };
}

/** What the server answers when it refuses. */
export interface ProblemData {
  error: string;
  /** With status 409: what is there now. */
  document?: DocumentData;
}
