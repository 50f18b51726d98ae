import type { Matrix4 } from "three";
import { dropDraft } from "../live.ts";
import { poseAt } from "../motion.ts";
import type { Listed } from "../scene.ts";
import { document_, frame, motion } from "../state.ts";
import { NumberField } from "../ui/NumberField.tsx";
import type { Tool } from "../viewport/options.ts";
import { keepPose, tryPose } from "../viewport/poses.ts";
import { numbersOf, type PoseNumbers, poseOf } from "./pose.ts";

const ROWS: { title: string; tool: Tool; step: number; fields: { key: keyof PoseNumbers; caption: string; label: string }[] }[] = [
  {
    title: "Position", tool: "move", step: 0.1,
    fields: [
      { key: "x", caption: "X", label: "Position X" },
      { key: "y", caption: "Y", label: "Position Y" },
      { key: "z", caption: "Z", label: "Position Z" },
    ],
  },
  {
    title: "Rotation", tool: "turn", step: 5,
    fields: [
      { key: "turn", caption: "Turn", label: "Turn" },
      { key: "pitch", caption: "Pitch", label: "Pitch" },
      { key: "roll", caption: "Roll", label: "Roll" },
    ],
  },
  {
    title: "Scale", tool: "scale", step: 0.05,
    fields: [
      { key: "sx", caption: "X", label: "Scale X" },
      { key: "sy", caption: "Y", label: "Scale Y" },
      { key: "sz", caption: "Z", label: "Scale Z" },
    ],
  },
]; // prettier-ignore

/** The entity's pose at this frame, as numbers; changing one sets a keyframe. */
export function PoseSection({ one }: { one: Listed }) {
  const now = motion.value;
  const pose = now && poseAt(now, one.name, frame.value);
  if (!pose) return null;
  const facing = one.data?.facing ?? 0;
  const numbers = numbersOf(pose, facing);
  const unit = document_.value?.scene?.unit === "metre" ? "m" : "";
  const units: Record<Tool, string> = { move: unit, turn: "°", scale: "" };
  const changed = (key: keyof PoseNumbers, value: number): Matrix4 => poseOf({ ...numbers, [key]: value }, facing);
  return (
    <section class="section" aria-label="Pose">
      <h3>
        Pose at frame {frame.value}
        {!unit && <span title="The scene's own unit: its scale in metres is not known">in units</span>}
      </h3>
      {ROWS.map(({ title, tool, step, fields }) => (
        <div class="pose-row" key={title} role="group" aria-label={title}>
          <span class="dim">{title}</span>
          {fields.map(({ key, caption, label }) => (
            <NumberField
              key={key}
              label={label}
              caption={caption}
              value={numbers[key]}
              unit={units[tool]}
              digits={tool === "turn" ? 1 : 3}
              step={step}
              onTry={(value) => tryPose(one.name, changed(key, value))}
              onChange={(value) => void keepPose(one.name, changed(key, value), tool)}
              onCancel={dropDraft}
            />
          ))}
        </div>
      ))}
    </section>
  );
}
