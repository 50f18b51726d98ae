import { useState } from "preact/hooks";
import { nearestLengths, withLength } from "../shot/edits.ts";
import { frame, motion, playing, saveShot } from "../state.ts";
import { Icon } from "../ui/Icon.tsx";
import { NumberField } from "../ui/NumberField.tsx";
import { sheet } from "../words.ts";
import { curvesOpen } from "./curves.ts";
import { canPaste, copyPicked, deletePicked, keyNow, pasteAtPlayhead, picked, pickedEasing, setEasing, snapping } from "./picking.ts";
import { goTo, loop, marks, setMark } from "./playback.ts";
import { last } from "./scale.ts";

/** The row of buttons and fields above the ruler. */
export function Transport() {
  return (
    <div class="tl-bar">
      <Playing />
      <Where />
      <Marks />
      <Keys />
      <span class="grow" />
      <Length />
    </div>
  );
}

function Playing() {
  return (
    <div class="row tl-tight">
      <button type="button" class="icon quiet" title="First frame (Home)" aria-label="First frame" onClick={() => goTo(0)}>
        <Icon name="toStart" />
      </button>
      <button type="button" class="icon quiet" title="One frame back (←)" aria-label="One frame back" onClick={() => goTo(frame.value - 1)}>
        <Icon name="stepBack" />
      </button>
      <button type="button" class="icon tl-play" title="Play or pause (Space)" aria-label={playing.value ? "Pause" : "Play"} onClick={() => (playing.value = !playing.value)}>
        <Icon name={playing.value ? "pause" : "play"} />
      </button>
      <button type="button" class="icon quiet" title="One frame on (→)" aria-label="One frame on" onClick={() => goTo(frame.value + 1)}>
        <Icon name="stepOn" />
      </button>
      <button type="button" class="icon quiet" title="Last frame (End)" aria-label="Last frame" onClick={() => goTo(last.value)}>
        <Icon name="toEnd" />
      </button>
      <button type="button" class="icon quiet" title="Play round and round (L)" aria-label="Loop" aria-pressed={loop.value} onClick={() => (loop.value = !loop.value)}>
        <Icon name="loop" />
      </button>
    </div>
  );
}

/** Frame and second of the playhead. */
function Where() {
  const fps = motion.value?.fps ?? 16;
  return (
    <div class="row tl-tight">
      <NumberField label="Frame" value={frame.value} min={0} max={last.value} digits={0} step={1} onChange={goTo} />
      <span class="dim number tl-seconds">{(frame.value / fps).toFixed(2)} s</span>
    </div>
  );
}

function Marks() {
  const given = marks.value;
  return (
    <div class="row tl-tight" role="group" aria-label="Played range">
      <button type="button" class="quiet tl-text" title="Play from here (I)" onClick={() => setMark("start", frame.value)}>
        In <span class="number">{given ? given.start : "–"}</span>
      </button>
      <button type="button" class="quiet tl-text" title="Play to here (O)" onClick={() => setMark("end", frame.value)}>
        Out <span class="number">{given ? given.end : "–"}</span>
      </button>
      {given && (
        <button type="button" class="icon quiet" title="Play the whole shot" aria-label="Clear in and out" onClick={() => (marks.value = null)}>
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

function Keys() {
  const any = picked.value.length > 0;
  return (
    <div class="row tl-tight">
      <button type="button" title="Keep the pose of what is selected as a key at the playhead (K)" onClick={() => void keyNow()}>
        <Icon name="key" /> Key
      </button>
      <button type="button" class="icon quiet" title="Copy (Ctrl+C)" aria-label="Copy keys" disabled={!any} onClick={copyPicked}>
        <Icon name="copy" />
      </button>
      <button type="button" class="icon quiet" title="Paste at the playhead (Ctrl+V)" aria-label="Paste keys" disabled={!canPaste.value} onClick={pasteAtPlayhead}>
        <Icon name="paste" />
      </button>
      <button type="button" class="icon quiet" title="Delete (Del)" aria-label="Delete keys" disabled={!any} onClick={deletePicked}>
        <Icon name="trash" />
      </button>
      <Easing />
      <button type="button" class="icon quiet" title="Keys stand on whole frames" aria-label="Snap to frames" aria-pressed={snapping.value} onClick={() => (snapping.value = !snapping.value)}>
        <Icon name="snap" />
      </button>
      <button type="button" class="quiet" title="Easing curve and the values of the motion (C)" aria-pressed={curvesOpen.value} onClick={() => (curvesOpen.value = !curvesOpen.value)}>
        <Icon name="curve" /> Curves
      </button>
    </div>
  );
}

function Easing() {
  const names = sheet.value?.vocabulary.easings ?? [];
  const now = pickedEasing.value;
  const own = now !== null && !names.includes(now) ? now : null;
  return (
    <select aria-label="Easing of the picked keys" title="Easing to the next key, or of the move" disabled={picked.value.length === 0} value={now ?? ""} onChange={(event) => setEasing(event.currentTarget.value)}>
      {now === null && <option value="">Easing</option>}
      {own && <option value={own}>bezier</option>}
      {names.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

const RULE = "A shot has 4k + 1 frames (1, 5, 9, … 49, … 81): the video model takes one frame and then four at a time.";

function Length() {
  const [note, setNote] = useState("");
  const [stretch, setStretch] = useState(false);
  const at = sheet.value;
  if (!at) return null;
  const { frames, fps } = at.clock;
  const setFrames = (wanted: number) => {
    const [below, above] = nearestLengths(wanted);
    const taken = wanted - below <= above - wanted ? below : above;
    setNote(taken === wanted ? "" : `${wanted} is not 4k + 1; ${taken} taken`);
    if (taken !== frames) void saveShot(`Length ${taken} frames`, (shot) => withLength(shot, taken, stretch, at));
  };
  return (
    <div class="row tl-length">
      {note && (
        <span class="tl-note" role="status" title={RULE}>
          {note}
        </span>
      )}
      <NumberField label="Frames" caption="Frames" title={RULE} value={frames} min={1} max={4097} digits={0} step={4} onChange={setFrames} />
      <label class="row tl-tight dim" title="Keys and spans go along when the length changes; else they stay on their frames">
        <input type="checkbox" checked={stretch} onChange={(event) => setStretch(event.currentTarget.checked)} /> stretch
      </label>
      <NumberField label="fps" caption="fps" title="Frames per second" value={fps} min={1} max={1000} digits={2} step={1} onChange={(to) => void saveShot(`${to} fps`, (shot) => ({ ...shot, fps: to }))} />
    </div>
  );
}
