/** What tests in a browser ask the viewport, as `window.studioTest`. */

import { Vector3 } from "three";
import { frame } from "../state.ts";
import type { View } from "./materials.ts";
import { loading } from "./options.ts";
import { readView } from "./readView.ts";
import type { Stage } from "./stage.ts";

export interface StudioTest {
  /** Names of the entities that are drawn; empty until the scene is loaded. */
  names: () => string[];
  /** RGBA of a view at an exact size, rows from the top. */
  readView: (view: View, width: number, height: number) => Uint8Array;
  /** World from an entity as it is drawn, 16 numbers, column-major. */
  pose: (name: string) => number[] | null;
  /** World from the camera that is looked through, 16 numbers, column-major. */
  camera: () => number[];
  /** A point of the world in pixels of the page. */
  onPage: (x: number, y: number, z: number) => [number, number];
  /** Which handle is under the pointer. */
  handle: () => string | null;
  goTo: (frame: number) => void;
}

export function offerTo(window_: Window, stage: Stage): void {
  const test: StudioTest = {
    names: () => (loading.value === null ? stage.actors.names : []),
    readView: (view, width, height) => readView(stage, view, width, height),
    pose: (name) => stage.actors.poseOf(name)?.toArray() ?? null,
    camera: () => stage.camera.matrixWorld.toArray(),
    onPage: (x, y, z) => {
      const at = new Vector3(x, y, z).project(stage.camera);
      const box = stage.canvas.getBoundingClientRect();
      return [box.left + ((at.x + 1) / 2) * box.width, box.top + ((1 - at.y) / 2) * box.height];
    },
    handle: () => stage.gizmo.controls.axis,
    goTo: (to) => {
      frame.value = to;
    },
  };
  Object.assign(window_, { studioTest: test });
}
