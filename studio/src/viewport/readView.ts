/** A view of the scene at the current frame as pixels of an exact size: what tests compare with the renderer's frames. */

import { FloatType, DepthTexture, NearestFilter, WebGLRenderTarget } from "three";
import { zoomAt } from "../motion.ts";
import { document_, frame, motion } from "../state.ts";
import { LensCamera } from "./cameras.ts";
import { lensIn } from "./lens.ts";
import type { View } from "./materials.ts";
import type { Stage } from "./stage.ts";

/** RGBA, rows from the top, of the shot's camera at the current frame; black where there is nothing. */
export function readView(stage: Stage, view: View, width: number, height: number): Uint8Array {
  const [scene, now] = [document_.value?.scene, motion.value];
  if (!scene || !now) throw new Error("there is no scene in the viewport");
  stage.pose(scene, now);
  const camera = new LensCamera();
  camera.place(stage.shotCamera.matrixWorld);
  const canvas = { width, height };
  camera.look(lensIn(scene.intrinsics, zoomAt(now, frame.value), { x: 0, y: 0, ...canvas }, canvas), stage.actors.spheres());
  stage.actors.look(view, camera.matrixWorldInverse);
  const target = new WebGLRenderTarget(width, height, {
    minFilter: NearestFilter,
    magFilter: NearestFilter,
    depthTexture: new DepthTexture(width, height, FloatType),
  });
  const { renderer } = stage;
  renderer.setRenderTarget(target);
  renderer.setClearColor(0x000000, 1);
  renderer.clear();
  renderer.render(stage.actors.root, camera);
  const found = new Uint8Array(width * height * 4);
  renderer.readRenderTargetPixels(target, 0, 0, width, height, found);
  renderer.setRenderTarget(null);
  target.dispose();
  stage.redraw();
  return fromTheTop(found, width, height);
}

/** WebGL counts rows from the bottom. */
function fromTheTop(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const found = new Uint8Array(pixels.length);
  const row = width * 4;
  for (let y = 0; y < height; y++) found.set(pixels.subarray((height - 1 - y) * row, (height - y) * row), y * row);
  return found;
}
