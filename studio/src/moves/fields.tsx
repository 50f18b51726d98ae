/** One control for each kind of value of a move. */

import { document_ } from "../state.ts";
import type { SettingWords, VocabularyData } from "../shot/vocabulary.ts";
import { splitList, tokens } from "../shot/text.ts";
import { fromSlider, rangeOf, readSlid, slidText, toSlider, UNITS } from "./sliders.ts";

export interface FieldProps {
  item: SettingWords;
  /** As written, or the default. */
  text: string;
  /** Entity of the move, "" for the camera. */
  target: string;
  vocabulary: VocabularyData;
  /** While a slider is dragged. */
  onTry: (text: string) => void;
  /** On release, and when a field was changed. */
  onKeep: (text: string | null) => void;
  /** A slider was let go of: keeps what was tried. */
  onRelease: () => void;
}

/** The control for a setting's kind of value. */
export function ValueField(props: FieldProps) {
  const { item } = props;
  if (item.kind === "an easing") return <EasingField {...props} />;
  if (item.kind === "an entity or a point" || item.kind === "the name of an object") return <TargetField {...props} />;
  if (item.kind === "nothing, or the name of an object") return <TargetField {...props} />;
  if (item.kind === "a displacement") return <DisplacementField {...props} />;
  if (item.kind === "a joint and an angle") return <JointField {...props} />;
  if (item.kind === "yes or no") return <YesField {...props} />;
  if (item.choices.length) return <ChoiceField {...props} />;
  if (item.kind in UNITS && (props.text === "" || readSlid(props.text, item))) return <SlidField {...props} />;
  return <TextField {...props} />;
}

/** A slider with a number and a unit. */
function SlidField({ item, text, vocabulary, onTry, onKeep, onRelease }: FieldProps) {
  const slid = readSlid(text, item) ?? { number: 0, unit: UNITS[item.kind]?.[0] ?? "" };
  const range = rangeOf(item, slid, vocabulary);
  const units = [...new Set([slid.unit, ...offered(item)])];
  const at = (number: number) => slidText({ number, unit: slid.unit });
  return (
    <div class="mv-slid">
      <input type="range" aria-label={item.name} min={0} max={1000} step={1} value={toSlider(slid.number, range)}
        onInput={(event) => onTry(at(fromSlider(Number(event.currentTarget.value), range)))} onChange={onRelease} />
      <input type="number" class="number" aria-label={`${item.name}, number`} step={range.step} value={Number(slid.number.toFixed(4))}
        onChange={(event) => onKeep(at(Number(event.currentTarget.value)))} />
      {units.length > 1 ? (
        <select aria-label={`Unit of ${item.name}`} value={slid.unit} onChange={(event) => onKeep(inUnit(item, slid.number, slid.unit, event.currentTarget.value))}>
          {units.map((unit) => <option key={unit} value={unit}>{unit}</option>)}
        </select>
      ) : <span class="dim mv-unit">{slid.unit}</span>}
    </div>
  );
}

/** Metres are for scenes that know their scale. */
function offered(item: SettingWords): string[] {
  const metric = document_.value?.scene?.unit === "metre";
  return (UNITS[item.kind] ?? []).filter((unit) => metric || !["m", "cm"].includes(unit));
}

/** How many of the first unit one is, for kinds whose units are known without the scene. */
const PARTS: Record<string, Record<string, number>> = {
  "an angle": { deg: 1, rad: 180 / Math.PI, turns: 360 },
  "a factor": { x: 1, "%": 0.01 },
  "a scale": { x: 1, "%": 0.01 },
};

/** What a distance starts with in a unit: what a percent of it is, the scene alone knows. */
const USUAL: Record<string, number> = { "%": 25, units: 0.5, m: 1, cm: 100 };

/** The same value in another unit where that is known, else a usual one of the same sign. */
function inUnit(item: SettingWords, number: number, from: string, to: string): string {
  if (item.kind === "a zoom") return zoomIn(number, from, to);
  const [a, b] = [PARTS[item.kind]?.[from], PARTS[item.kind]?.[to]];
  const value = a && b ? (number * a) / b : Math.sign(number || 1) * (USUAL[to] ?? 1);
  return slidText({ number: value, unit: to });
}

/** Focal lengths in the photo's terms: a factor, mm on a 36 mm wide sensor, the horizontal field of view. */
function zoomIn(number: number, from: string, to: string): string {
  const lens = document_.value?.scene?.intrinsics;
  if (!lens) return slidText({ number, unit: to });
  const photo = (lens.fx / lens.width) * 36;
  const mm = from === "mm" ? number : from === "deg" ? 18 / Math.tan((number * Math.PI) / 360) : number * photo;
  const found: Record<string, number> = { mm, x: mm / photo, deg: (2 * Math.atan(18 / mm) * 180) / Math.PI };
  return slidText({ number: Number((found[to] ?? mm).toPrecision(3)), unit: to });
}

function EasingField({ item, text, vocabulary, onKeep }: FieldProps) {
  const own = vocabulary.easings.includes(text) ? [] : [text];
  return <Choice label={item.name} value={text} choices={[...own, ...vocabulary.easings]} onPick={onKeep} />;
}

function ChoiceField({ item, text, onKeep }: FieldProps) {
  const choices = item.default === null && !item.required ? ["", ...item.choices] : item.choices;
  return <Choice label={item.name} value={text} choices={choices} onPick={(picked) => onKeep(picked || null)} />;
}

function Choice({ label, value, choices, onPick }: { label: string; value: string; choices: string[]; onPick: (text: string) => void }) {
  return (
    <select aria-label={label} value={value} onChange={(event) => onPick(event.currentTarget.value)}>
      {choices.map((choice) => <option key={choice} value={choice}>{choice || "as usual"}</option>)}
    </select>
  );
}

/** An entity, or a point in the world. */
function TargetField({ item, text, target, onKeep }: FieldProps) {
  const names = document_.value?.scene?.entities.map((entity) => entity.name) ?? [];
  const points = item.kind === "an entity or a point";
  const isPoint = points && splitList(text).length === 3;
  const others = [...item.choices, ...names.filter((name) => name !== target)];
  const known = isPoint || text === "" || others.includes(text) ? others : [text, ...others];
  const pick = (picked: string) => onKeep(picked === "(point)" ? "(0, 0, -3)" : picked || null);
  return (
    <div class="mv-target">
      <select aria-label={item.name} value={isPoint ? "(point)" : text} onChange={(event) => pick(event.currentTarget.value)}>
        {!item.required && <option value="">{points ? "largest object" : "nothing"}</option>}
        {known.map((name) => <option key={name} value={name}>{name}</option>)}
        {points && <option value="(point)">a point…</option>}
      </select>
      {isPoint && <input aria-label={`${item.name}, point`} value={text} onChange={(event) => onKeep(event.currentTarget.value)} />}
    </div>
  );
}

/** Directions with distances, each with a slider; a vector stays text. */
function DisplacementField(props: FieldProps) {
  const { item, text, vocabulary } = props;
  const parts = splitList(text).map((part) => tokens(part));
  const directed = parts.every(([word = ""]) => vocabulary.valueWords.includes(word.toLowerCase()));
  if (!parts.length || !directed) return <TextField {...props} />;
  const write = (index: number, word: string, length: string) =>
    parts.map((part, each) => (each === index ? `${word} ${length}` : part.join(" "))).join(", ");
  const distance: SettingWords = { ...item, kind: "a distance", signs: {}, default: null };
  return (
    <div class="mv-steps">
      {parts.map(([word = "", ...rest], index) => (
        <div class="mv-step" key={index}>
          <Choice label={`${item.name}, direction`} value={word} choices={[...new Set([word, ...vocabulary.directions])]} onPick={(to) => props.onKeep(write(index, to, rest.join(" ")))} />
          <SlidField {...props} item={{ ...distance, name: word }} text={rest.join(" ")} onTry={(to) => props.onTry(write(index, word, to))} onKeep={(to) => props.onKeep(write(index, word, to ?? "0"))} />
        </div>
      ))}
    </div>
  );
}

/** A joint of a person's body, and how far it bends. */
function JointField(props: FieldProps) {
  const joints = document_.value?.scene?.entities.find((entity) => entity.name === props.target)?.joints ?? [];
  const [joint = "", ...rest] = tokens(props.text);
  const angle: SettingWords = { ...props.item, kind: "an angle", default: null };
  return (
    <div class="mv-step">
      <Choice label="joint" value={joint} choices={[...new Set([joint, ...joints])]} onPick={(to) => props.onKeep(`${to} ${rest.join(" ")}`)} />
      <SlidField {...props} item={angle} text={rest.join(" ")} onTry={(to) => props.onTry(`${joint} ${to}`)} onKeep={(to) => props.onKeep(`${joint} ${to}`)} />
    </div>
  );
}

function YesField({ item, text, onKeep }: FieldProps) {
  const on = ["yes", "true", "on"].includes(text.toLowerCase());
  return <input type="checkbox" aria-label={item.name} checked={on} onChange={(event) => onKeep(event.currentTarget.checked ? "yes" : "no")} />;
}

function TextField({ item, text, onKeep }: FieldProps) {
  return <input aria-label={item.name} value={text} placeholder={item.kind} onChange={(event) => onKeep(event.currentTarget.value.trim() || null)} />;
}
