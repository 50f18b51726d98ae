/** Focal length, pitch and roll: as they are, as lines say, or as numbers. */

import { useState } from "preact/hooks";
import { document_ } from "../state.ts";
import { current, type Direction, focalAs, focalFrom, horizon, keepSolved, layHorizon, pairs, problem, say, solved, togglePair } from "./lens.ts";
import { photoSize } from "./sight.ts";

const PAIRS: { value: Direction; label: string; hint: string }[] = [
  { value: "upright", label: "Upright", hint: "Two edges that stand upright: door frames, corners of houses" },
  { value: "level", label: "Along the ground", hint: "Two parallel edges on the ground, or level ones: kerbs, rails, table sides" },
  { value: "across", label: "Across them", hint: "Two level edges at a right angle to those" },
];

type Unit = "pixels" | "millimetres" | "degrees";
const UNITS: { value: Unit; label: string }[] = [
  { value: "millimetres", label: "mm (35 mm film)" },
  { value: "pixels", label: "pixels" },
  { value: "degrees", label: "° across" },
];

export function LensPanel() {
  const now = current.value;
  const view = document_.value?.view;
  if (!now || !view) return <p class="empty">Looking at the photo…</p>;
  const anything = view.focal !== null || view.pitch !== null || view.roll !== null;
  const forget = async () => {
    pairs.value = {};
    solved.value = null;
    await say({ focal: null, pitch: null, roll: null });
    await layHorizon();
  };
  return (
    <section class="section lens-panel" aria-label="The photo's camera">
      <h3>The photo's camera</h3>
      <p class="dim">{anything ? "As you said; the rest as the photo tells." : now.isSeen ? "As the photo tells. Drag the horizon where it is wrong." : "The photo does not tell how far the camera looks down. Drag the horizon, or let the lifter look at the objects."}</p>
      <Focal focal={now.focal} given={view.focal !== null} />
      <Angle label="Pitch" hint="How far the camera looks down" value={now.pitch} given={view.pitch !== null} keep={(pitch) => numbers({ ...view, pitch })} />
      <Angle label="Roll" hint="How far it is turned clockwise, seen from behind it" value={now.roll} given={view.roll !== null} keep={(roll) => numbers({ ...view, roll })} />
      <h3>Lines that are parallel in the world</h3>
      <div class="pairs">
        {PAIRS.map((one) => (
          <button type="button" key={one.value} class={`pair-${one.value}`} aria-pressed={pairs.value[one.value] !== undefined} title={one.hint} onClick={() => togglePair(one.value)}>
            {one.label}
          </button>
        ))}
      </div>
      <p class="dim">Upright lines with the horizon, or two kinds at right angles, give the focal length.</p>
      {Object.keys(pairs.value).length > 0 && (
        <button type="button" class="wide" onClick={() => void keepSolved()}>
          Take what the lines say
        </button>
      )}
      {problem.value ? <p class="error-text">{problem.value}</p> : <Told />}
      <button type="button" class="wide" disabled={!anything} onClick={() => void forget()}>
        Back to what the photo tells
      </button>
    </section>
  );
}

async function numbers({ focal, pitch, roll }: { focal: number | null; pitch: number | null; roll: number | null }): Promise<void> {
  await say({ focal, pitch, roll });
  await layHorizon();
}

/** What the lines say at the moment. */
function Told() {
  const found = solved.value;
  if (!found || !horizon.value) return null;
  const focal = focalAs(found.focal, fileSize());
  return (
    <p class="dim number" role="status" aria-label="What the lines say">
      {focal.pixels.toFixed(0)} px ({focal.millimetres.toFixed(0)} mm), pitch {found.pitch.toFixed(1)}°, roll {found.roll.toFixed(1)}°
      {found.notes.map((note) => (
        <span key={note}>. {note}</span>
      ))}
    </p>
  );
}

const fileSize = () => {
  const { width, height, shrink } = photoSize();
  return { width: Math.round(width / shrink), height: Math.round(height / shrink) };
};

function Focal({ focal, given }: { focal: number; given: boolean }) {
  const [unit, setUnit] = useState<Unit>("millimetres");
  const view = document_.value?.view;
  const shown = focalAs(focal, fileSize())[unit];
  const keep = (value: number) => {
    if (view && value > 0) void numbers({ ...view, focal: Number(focalFrom(unit, value, fileSize()).toFixed(1)) });
  };
  return (
    <div class="field">
      <label for="focal">Focal</label>
      <span class="row">
        <input id="focal" class={given ? "grow" : "grow dim"} type="number" step="any" key={`${unit}${focal}`} defaultValue={shown.toFixed(1)} onChange={(event) => keep(event.currentTarget.valueAsNumber)} />
        <select aria-label="Unit of the focal length" value={unit} onChange={(event) => setUnit(event.currentTarget.value as Unit)}>
          {UNITS.map((one) => (
            <option key={one.value} value={one.value}>
              {one.label}
            </option>
          ))}
        </select>
      </span>
    </div>
  );
}

function Angle({ label, hint, value, given, keep }: { label: string; hint: string; value: number; given: boolean; keep: (value: number) => Promise<void> }) {
  const id = label.toLowerCase();
  return (
    <div class="field">
      <label for={id} title={hint}>
        {label}
      </label>
      <span class="row">
        <input
          id={id}
          class={given ? "grow" : "grow dim"}
          type="number"
          step="any"
          key={value}
          defaultValue={value.toFixed(2)}
          onChange={(event) => {
            if (Number.isFinite(event.currentTarget.valueAsNumber)) void keep(event.currentTarget.valueAsNumber);
          }}
        />
        °
      </span>
    </div>
  );
}
