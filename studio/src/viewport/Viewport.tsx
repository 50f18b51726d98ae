import { useEffect, useRef, useState } from "preact/hooks";
import { shortcut } from "../shortcuts/registry.ts";
import { draftProblem, dropDraft } from "../live.ts";
import { HorizonNote } from "../marking/HorizonNote.tsx";
import { dropHint, type DropTarget, meshDrop, reading } from "../marking/meshDrop.ts";
import { document_, frame, guarded, place, selected, workspace } from "../state.ts";
import { choose, dropToGround, toggleLook, toggleSpace } from "./actions.ts";
import { ExactFrame } from "./ExactFrame.tsx";
import type { Rect } from "./lens.ts";
import { ctrlHeld, drawnInSoftware, framesPerSecond, gesture, loading, lookThrough, resolution, slide } from "./options.ts";
import { Pointer } from "./pointer.ts";
import { keepPose, tryPose } from "./poses.ts";
import { Stage } from "./stage.ts";
import { offerTo } from "./testing.ts";
import { Toolbar } from "./Toolbar.tsx";
import "./Viewport.css";

/** The scene at the frame, through the shot's camera or from anywhere, with handles on what is selected. */
export function Viewport() {
  const [stage, setStage] = useState<Stage | null>(null);
  const [frameRect, setFrameRect] = useState<Rect>({ x: 0, y: 0, width: 0, height: 0 });
  const [broken, setBroken] = useState(false);
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const pointer = useRef<Pointer | null>(null);
  useEffect(() => {
    const made = canvas.current && box.current ? openStage(canvas.current, box.current, setFrameRect) : null;
    if (made) setStage(made.stage);
    else setBroken(true);
    pointer.current = made?.pointer ?? null;
    return () => made?.close();
  }, []);
  return (
    <div class="viewport">
      <Toolbar stage={stage} />
      <HorizonNote />
      <div class="viewport-picture" ref={box} {...meshDrop((event) => underPointer(pointer.current, event))}>
        <canvas ref={canvas} role="img" aria-label="Scene" />
        {lookThrough.value && <Frame at={frameRect} />}
        <div class="exact-frame" style={{ left: `${frameRect.x}px`, top: `${frameRect.y}px`, width: `${frameRect.width}px`, height: `${frameRect.height}px` }}>
          <ExactFrame />
        </div>
        <Heads />
        {broken && <p class="viewport-message">This browser shows no 3D (WebGL 2 is off). Turn on hardware acceleration, or use another browser.</p>}
        {dropHint.value && <p class="viewport-message low">{dropHint.value}</p>}
        <MeshMessage />
        {loading.value && <p class="viewport-message">{loading.value}</p>}
      </div>
    </div>
  );
}

/** An entity that a mesh can take the place of, or where a new one is to stand. */
function underPointer(pointer: Pointer | null, event: DragEvent): DropTarget | null {
  const name = pointer?.entityAt(event);
  const known = document_.value?.scene?.entities.find((one) => one.name === name);
  return known?.inPhoto && !event.shiftKey ? { entity: known.name } : (pointer?.sightAt(event) ?? null);
}

/** How far a dropped mesh is. */
function MeshMessage() {
  const job = reading();
  if (!job) return null;
  return (
    <p class="viewport-message low" role="status" aria-label="Mesh">
      {job.title}: {job.state === "queued" ? "waits for its turn" : job.step || "starting"} …
      <button type="button" class="quiet" onClick={() => void guarded(async () => workspace.value?.cancel(job.id))}>
        Cancel
      </button>
    </p>
  );
}

/** Darkens what the shot does not show. */
function Frame({ at }: { at: Rect }) {
  return <div class="shot-frame" style={{ left: `${at.x}px`, top: `${at.y}px`, width: `${at.width}px`, height: `${at.height}px` }} />;
}

/** What is going on, in the corners. */
function Heads() {
  const rate = framesPerSecond.value;
  const coarse = resolution.value < 1 && rate !== null;
  return (
    <>
      <p class="viewport-head left" role="status" aria-label="Gesture">
        {draftProblem.value ? <span class="error-text">{draftProblem.value}</span> : gesture.value}
      </p>
      <p class="viewport-head right number" aria-label="Speed">
        {coarse && <span>{Math.round(resolution.value * 100)}% resolution while moving{drawnInSoftware.value ? " (no graphics card)" : ""}</span>}
        {rate !== null && <span>{rate} frames/s</span>}
      </p>
    </>
  );
}

function openStage(canvas: HTMLCanvasElement, box: HTMLElement, laidOut: (frame: Rect) => void): { stage: Stage; pointer: Pointer; close: () => void } | null {
  let stage: Stage;
  try {
    stage = new Stage(canvas, eventsOf(() => stage), laidOut);
  } catch {
    return null;
  }
  const pointer = new Pointer(stage, canvas);
  const watcher = new ResizeObserver(() => stage.resize({ width: box.clientWidth, height: box.clientHeight }));
  watcher.observe(box);
  const unregister = shortcutsOf(stage);
  offerTo(window, stage);
  const close = () => {
    unregister();
    watcher.disconnect();
    pointer.dispose();
    stage.dispose();
  };
  return { stage, pointer, close };
}

function eventsOf(stage: () => Stage): ConstructorParameters<typeof Stage>[1] {
  return {
    moved: (target, pose) => {
      if (target === "") stage().holdCamera(pose);
      else stage().actors.hold(target, pose);
      gesture.value = describe(target, pose.elements);
      stage().redraw();
      tryPose(target, pose);
    },
    ended: async (target, pose, tool) => {
      gesture.value = null;
      if (pose) await keepPose(target, pose, tool);
      else dropDraft();
      stage().holdCamera(null);
      stage().actors.letGo();
      stage().redraw();
    },
  };
}

/** Where a dragged thing is, from where it was at this frame. */
function describe(target: string, now: readonly number[]): string {
  const unit = document_.value?.scene?.unit === "metre" ? "m" : "units";
  const [x, y, z] = [now[12], now[13], now[14]].map((value) => (value ?? 0).toFixed(2));
  return `${target || "Camera"} at x ${x}, y ${y}, z ${z} ${unit}, frame ${frame.value}`;
}

function shortcutsOf(stage: Stage): () => void {
  const here = { group: "Scene", when: () => place.value === "direct" };
  const held = (event: KeyboardEvent) => {
    ctrlHeld.value = event.ctrlKey || event.metaKey;
  };
  addEventListener("keydown", held);
  addEventListener("keyup", held);
  const all = [
    shortcut("w", "Move", choose("move"), here),
    shortcut("e", "Turn", choose("turn"), here),
    shortcut("r", "Scale", choose("scale"), here),
    shortcut("x", "World or local axes", toggleSpace, here),
    shortcut("g", "Drop to ground", () => dropToGround(stage), here),
    shortcut("h", "Slide on ground", () => (slide.value = !slide.value), here),
    shortcut("v", "Through the camera, or freely", toggleLook, { ...here, group: "View" }),
    shortcut("f", "Look at the selected", () => stage.lookAtSelected(), { ...here, group: "View" }),
    shortcut("Escape", "Give up a drag, or select nothing", () => (stage.gizmo.dragging ? stage.gizmo.cancel() : (selected.value = null)), here),
  ];
  return () => {
    removeEventListener("keydown", held);
    removeEventListener("keyup", held);
    for (const unregister of all) unregister();
  };
}
