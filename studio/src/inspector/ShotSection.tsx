import { useEffect, useState } from "preact/hooks";
import { nearestLengths } from "../shot/edits.ts";
import { document_, motion } from "../state.ts";
import { NumberField } from "../ui/NumberField.tsx";
import { saveOrSay } from "./saving.ts";

/** What holds for the whole shot: what it shows, how long it is. */
export function ShotSection() {
  const now = document_.value;
  const [prompt, setPrompt] = useState(now?.shot.prompt ?? "");
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => setPrompt(now?.shot.prompt ?? ""), [now?.shot.prompt]);
  if (!now) return null;
  const { frames, fps } = motion.value ?? { frames: now.shot.frames ?? 49, fps: now.shot.fps ?? 16 };
  const save = async (label: string, value: object) => setProblem(await saveOrSay(label, (shot) => ({ ...shot, ...value })));
  const setFrames = (wanted: number) => {
    const [below, above] = nearestLengths(Math.max(wanted, 1));
    void save("Length", { frames: wanted > frames && below <= frames ? above : below });
  };
  return (
    <section class="section" aria-label="Shot">
      <h3>Shot</h3>
      <label class="prompt">
        <span class="dim">Prompt</span>
        <textarea
          rows={3}
          aria-label="Prompt"
          placeholder="What the video shows, such as: A red car drives off."
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
          onBlur={() => prompt !== (now.shot.prompt ?? "") && void save("Prompt", { prompt })}
        />
      </label>
      <div class="field">
        <span class="label" title="4k + 1 frames: 1, 5, 9, …, 49, …, 81">Length</span>
        <NumberField label="Frames" value={frames} unit="frames" digits={0} step={4} onChange={setFrames} />
      </div>
      <div class="field">
        <span class="label">Rate</span>
        <NumberField label="Frames per second" value={fps} unit="fps" digits={2} step={1} onChange={(value) => void save("Frame rate", { fps: value })} />
      </div>
      <div class="field">
        <span class="label">Duration</span>
        <span class="number">{(frames / fps).toFixed(2)} s</span>
      </div>
      {problem && (
        <p class="error-text" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}
