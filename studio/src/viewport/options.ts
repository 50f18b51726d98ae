/** How the viewport is used: kept in the workspace where a person would want to find it again. */

import { signal } from "@preact/signals";
import { keep } from "../page.ts";

export type Tool = "move" | "turn" | "scale";

/** Looking through the shot's camera, or around freely. */
export const lookThrough = keep("lookThrough", true);
export const tool = keep<Tool>("tool", "move");
/** Whose axes the gizmo has. */
export const space = keep<"world" | "local">("space", "world");
/** Steps of snapping: scene units, degrees, factor. */
export const steps = keep("steps", { move: 0.1, turn: 15, scale: 0.1 });
/** Snaps always; with Ctrl held it is the other way round. */
export const snapping = keep("snapping", false);
/** Moving keeps the height above the ground. */
export const slide = keep("slide", false);
/** The server's own frame is laid over the view when it stands still. */
export const exact = keep("exact", false);
/** How bright the photo is behind the scene: 0 is none. */
export const backdrop = keep("backdrop", 1);
/** Ground grid, frustum, paths. */
export const guides = keep("guides", true);
/** Entities that are hidden in the view alone, and entities that the mouse cannot take. */
export const hiddenInView = keep<string[]>("hidden", []);
export const locked = keep<string[]>("locked", []);
/** Ctrl is held down. */
export const ctrlHeld = signal(false);
/** What the gizmo does at the moment, in words, or null. */
export const gesture = signal<string | null>(null);
/** Frames drawn in the last second while something moves, or null when all stands still. */
export const framesPerSecond = signal<number | null>(null);
/** Share of the canvas's pixels along each side that are drawn while something moves. */
export const resolution = signal(1);
/** True where WebGL is drawn by the processor. */
export const drawnInSoftware = signal(false);
/** What the viewport waits for, or null. */
export const loading = signal<string | null>(null);
