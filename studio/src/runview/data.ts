/** What `real2sam2real/run/scene_view.py` writes into the page of a run. */

import type { Base64, MotionData, SceneData } from "../types.ts";

/** Columns of numbers as 16-bit shares of their range. */
export interface Packed {
  low: number[];
  span: number[];
  data: Base64;
}

export interface ShapeData {
  positions: Packed;
  /** int8, vertices × 3: 127 is 1. */
  normals: Base64;
  uvs: Packed | null;
  /** uint8 sRGB, vertices × 3. */
  colors: Base64 | null;
  /** uint16, or uint32 where there are more vertices than that counts. */
  index: Base64;
  /** A data URI. */
  texture: string | null;
  /** Deformed vertices of every so many-th frame, one frame after another. */
  moved: { step: number; frames: Packed } | null;
}

export interface SceneView {
  /** Data URI of the photo without its objects, which stands behind them where they moved; null without a photo. */
  emptied: string | null;
  scene: SceneData;
  motion: MotionData;
  shapes: Record<string, ShapeData>;
}
