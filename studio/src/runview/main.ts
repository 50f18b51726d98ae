/**
 * The 3D view in the page of a run. It is written into that page as it is, finds what to draw in the page, and plays in
 * step with the page's first video.
 */

import type { View } from "../viewport/materials.ts";
import type { SceneView } from "./data.ts";
import { frameAt } from "./numbers.ts";
import { RunStage } from "./stage.ts";

const VIEWS: readonly View[] = ["textured", "shaded", "normals"];

function begin(): void {
  const place = document.getElementById("view3d");
  const canvas = place?.querySelector("canvas");
  const data = document.getElementById("view3d-data")?.textContent;
  const lead = document.querySelector("video");
  if (!place || !canvas || !data || !lead) return;
  const given = JSON.parse(data) as SceneView;
  try {
    const stage = new RunStage(canvas, given);
    const photo = document.querySelector<HTMLImageElement>('img[alt="Photo"]');
    void stage.load(photo?.src ?? null).then(() => play(stage, given, lead, place));
    listen(place, stage);
  } catch {
    const words = place.querySelector<HTMLElement>(".view3d-missing");
    if (words) words.hidden = false;
    canvas.remove();
    place.querySelector(".view3d-bar")?.remove();
  }
}

function play(stage: RunStage, given: SceneView, lead: HTMLVideoElement, place: HTMLElement): void {
  const { frames, fps } = given.motion;
  const tick = () => {
    const frame = frameAt(lead.currentTime, frames, fps);
    stage.show(frame);
    place.dataset.frame = `${frame}`;
    requestAnimationFrame(tick);
  };
  tick();
}

function listen(place: HTMLElement, stage: RunStage): void {
  const look = place.querySelector<HTMLSelectElement>("select");
  look?.addEventListener("change", () => {
    stage.view = VIEWS.find((view) => view === look.value) ?? "textured";
    stage.redraw();
  });
  const free = place.querySelector<HTMLInputElement>('input[type="checkbox"]');
  free?.addEventListener("change", () => {
    stage.through = !free.checked;
    stage.redraw();
  });
}

begin();
