/** From photo to scene: mark objects on the photo, say what is known of its camera, lift. */

import { useEffect } from "preact/hooks";
import { shortcut } from "../shortcuts/registry.ts";
import { document_, place, tell, workspace } from "../state.ts";
import { Icon } from "../ui/Icon.tsx";
import { HorizonNote } from "./HorizonNote.tsx";
import { LensPanel } from "./LensPanel.tsx";
import { beginLens } from "./lens.ts";
import { LiftPanel } from "./LiftPanel.tsx";
import { brushSize, chosen, chosenId, loadChoices, mark, sendMaskFile, sendMesh, type Tool, tool } from "./marks.ts";
import { dropMesh, isMesh } from "./meshDrop.ts";
import { ObjectList } from "./ObjectList.tsx";
import { ObjectPanel } from "./ObjectPanel.tsx";
import { type Frame, sightOf, toPhoto, type Xy } from "./frame.ts";
import { frame_, held, photoSize, zoomBy } from "./sight.ts";
import { Stage } from "./Stage.tsx";
import "./Marking.css";

const TOOLS: { value: Tool; label: string; keys: string; hint: string }[] = [
  { value: "box", label: "Box", keys: "b", hint: "Drag a box around an object" },
  { value: "points", label: "Points", keys: "p", hint: "Click on the object; Alt or the right button: not this" },
  { value: "brush", label: "Brush", keys: "d", hint: "Paint on the chosen object, or a new one" },
  { value: "eraser", label: "Eraser", keys: "x", hint: "Erase from the chosen object" },
  { value: "lens", label: "Lens", keys: "l", hint: "Horizon and focal length" },
];

export function Marking() {
  useEffect(registerKeys, []);
  useEffect(() => void loadChoices(), [workspace.value]);
  const isLens = tool.value === "lens";
  if (!document_.value?.photo) return <p class="empty">This workspace was made from a scene without a photo, so nothing can be marked.</p>;
  return (
    <div class="marking" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <Toolbar />
      <HorizonNote />
      <div class="marking-body">
        <Stage />
        <aside class="marking-side panel" aria-label="What is marked">
          <div class="panel-body">{isLens ? <LensPanel /> : <><ObjectList /><ObjectPanel /></>}</div>
          <LiftPanel />
        </aside>
      </div>
    </div>
  );
}

function Toolbar() {
  return (
    <div class="marking-tools" role="toolbar" aria-label="Marking tools">
      <div class="segmented" role="radiogroup" aria-label="Tool">
        {TOOLS.map((one) => (
          <button type="button" role="radio" key={one.value} aria-checked={tool.value === one.value} title={`${one.hint} (${one.keys.toUpperCase()})`} onClick={() => take(one.value)}>
            {one.label}
          </button>
        ))}
      </div>
      {(tool.value === "brush" || tool.value === "eraser") && (
        <label class="row brush-size">
          Size
          <input type="range" min="1" max="200" value={brushSize.value} aria-label="Brush size" onInput={(event) => (brushSize.value = event.currentTarget.valueAsNumber)} />
          <span class="number">{brushSize.value}</span>
        </label>
      )}
      <p class="hint dim cut">{hint()}</p>
      <div class="row">
        <button type="button" class="quiet icon" aria-label="Smaller" title="Zoom out (−)" onClick={() => zoomBy(0.8)}>
          <Icon name="minus" />
        </button>
        <button type="button" class="quiet icon" aria-label="Larger" title="Zoom in (+)" onClick={() => zoomBy(1.25)}>
          <Icon name="plus" />
        </button>
        <button type="button" class="quiet" title="The whole photo (0)" onClick={() => zoomBy("fit")}>
          Fit
        </button>
      </div>
    </div>
  );
}

function hint(): string {
  const name = chosen.value?.name;
  switch (tool.value) {
    case "box":
      return "Drag a box around an object. Double-click one to choose it.";
    case "points":
      return name ? `Click: this belongs to ${name}. Alt or right button: this does not.` : "Click on an object.";
    case "brush":
      return name ? `Paint what belongs to ${name}.` : "Paint a new object.";
    case "eraser":
      return name ? `Erase what does not belong to ${name}.` : "Choose an object first.";
    case "lens":
      return "Drag the horizon onto the photo's; lines along edges tell the focal length.";
  }
}

function take(next: Tool): void {
  tool.value = next;
  if (next === "lens") void beginLens();
}

/** The photo pixel under the pointer; the photo's middle beside the stage. */
function photoAt(event: DragEvent & { currentTarget: Element }): Xy {
  const at = event.currentTarget.querySelector(".stage")?.getBoundingClientRect();
  const { width, height } = photoSize();
  const beside = !at || !frame_.value || event.clientX > at.right || event.clientY < at.top;
  return beside ? [width / 2, height / 2] : toPhoto(frame_.value as Frame, [event.clientX - at.left, event.clientY - at.top]);
}

/** Files that are dropped on the photo: masks become objects, a mesh goes to the chosen object, or into the scene. */
function drop(event: DragEvent & { currentTarget: Element }): void {
  event.preventDefault();
  const scene = document_.value?.scene;
  for (const file of event.dataTransfer?.files ?? []) {
    if (!isMesh(file)) void sendMaskFile(file);
    else if (chosen.value) void sendMesh(file, chosen.value.id);
    else if (scene) void dropMesh(file, sightOf(photoAt(event), scene.intrinsics, scene.photoWorldFromCamera)).then(() => (place.value = "direct"));
    else tell(`Nothing is lifted yet, so there is no scene for '${file.name}'. Choose the object that it is a mesh of, or mark one, lift it, and drop the file again.`, "error");
  }
}

function registerKeys(): () => void {
  const group = { group: "Marking" };
  const removals = [
    ...TOOLS.map((one) => shortcut(one.keys, one.label, () => take(one.value), group)),
    shortcut("[", "Smaller brush", () => (brushSize.value = Math.max(1, Math.round(brushSize.value / 1.25))), group),
    shortcut("]", "Larger brush", () => (brushSize.value = Math.min(200, Math.ceil(brushSize.value * 1.25))), group),
    shortcut("n", "Nothing chosen: the next is a new object", () => (chosenId.value = null), group),
    shortcut("Escape", "Nothing chosen", () => (chosenId.value = null), group),
    shortcut("Delete", "Delete the chosen object", removeChosen, group),
    shortcut("+", "Zoom in", () => zoomBy(1.25), group),
    shortcut("=", "Zoom in", () => zoomBy(1.25), group),
    shortcut("-", "Zoom out", () => zoomBy(0.8), group),
    shortcut("0", "The whole photo", () => zoomBy("fit"), group),
    shortcut("1", "One photo pixel a screen pixel", () => zoomBy("pixels"), group),
    shortcut("Space", "Hold to move the photo", () => (held.space = true), group),
  ];
  const release = (event: KeyboardEvent) => {
    if (event.key === " ") held.space = false;
  };
  addEventListener("keyup", release);
  return () => {
    removeEventListener("keyup", release);
    for (const remove of removals) remove();
  };
}

function removeChosen(): void {
  if (chosen.value) void mark("Deleting…", { delete: chosen.value.id });
}
