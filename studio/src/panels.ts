/** The panels that there are. One that is not built yet is left out of the page. */

import type { ComponentType } from "preact";

const found = import.meta.glob<Record<string, ComponentType>>(
  [
    "./viewport/Viewport.tsx",
    "./outliner/Outliner.tsx",
    "./inspector/Inspector.tsx",
    "./timeline/Timeline.tsx",
    "./camera/CameraPanel.tsx",
    "./marking/Marking.tsx",
    "./generate/GeneratePanel.tsx",
    "./takes/TakesPanel.tsx",
    "./compare/Compare.tsx",
  ],
  { eager: true },
);

const panel = (path: string, name: string): ComponentType | null => found[`./${path}.tsx`]?.[name] ?? null;

export const Viewport = panel("viewport/Viewport", "Viewport");
export const Outliner = panel("outliner/Outliner", "Outliner");
export const Inspector = panel("inspector/Inspector", "Inspector");
export const Timeline = panel("timeline/Timeline", "Timeline");
export const CameraPanel = panel("camera/CameraPanel", "CameraPanel");
export const Marking = panel("marking/Marking", "Marking");
export const GeneratePanel = panel("generate/GeneratePanel", "GeneratePanel");
export const TakesPanel = panel("takes/TakesPanel", "TakesPanel");
export const Compare = panel("compare/Compare", "Compare");
