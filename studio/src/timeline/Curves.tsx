import { type Bezier, curveText, eased, easingCurve } from "../shot/easings.ts";
import { frame, motion, selected } from "../state.ts";
import { followPointer } from "../ui/drag.ts";
import { channel, channelsOf, values } from "./curves.ts";
import { giveUp, picked, pickedEasing, pickedName, rows, setEasing, settle, tryEasing } from "./picking.ts";
import { goTo } from "./playback.ts";

/** Beside the dope sheet: the easing of what is picked as a curve, and the values of the motion. */
export function Curves() {
  return (
    <div class="tl-curves">
      <EasingCurve />
      <Values />
    </div>
  );
}

const SIZE = 118;
/** Room above and below the unit square, for curves that go beyond their ends. */
const BEYOND = 32;
const WIDE = SIZE + 16;
const HIGH = SIZE + 2 * BEYOND;
const px = (x: number) => 8 + x * SIZE;
const py = (y: number) => BEYOND + (1 - y) * SIZE;

/** Curves with a name of what they do; the shot file knows the first five by it. */
const PRESETS: [string, string][] = [
  ["linear", "linear"],
  ["ease", "ease"],
  ["ease-in", "ease-in"],
  ["ease-out", "ease-out"],
  ["hold", "hold"],
  ["slow", "bezier (0.7, 0, 0.3, 1)"],
  ["late", "bezier (0.6, 0, 0.9, 0.6)"],
  ["over", "bezier (0.3, 0, 0.4, 1.25)"],
];

function EasingCurve() {
  const easing = pickedEasing.value;
  const any = picked.value.length > 0;
  return (
    <section class="tl-easing" aria-label="Easing curve">
      <svg class="tl-curve" viewBox={`0 0 ${WIDE} ${HIGH}`} role="img" aria-label={easing ?? "no easing"}>
        <rect x={px(0)} y={py(1)} width={SIZE} height={SIZE} class="tl-unit" />
        {easing !== null && <Curve easing={easing} />}
      </svg>
      <div class="tl-presets">
        <p class="dim">{any ? (easing ?? "differs") : "Pick a key or a bar"}</p>
        {PRESETS.map(([name, text]) => (
          <button type="button" key={name} class="quiet" title={text} aria-pressed={easing === text} disabled={!any} onClick={() => setEasing(text)}>
            <svg viewBox="0 0 18 18" width="16" height="16" aria-hidden="true">
              <path d={plot(text, (x) => 2 + x * 14, (y) => 16 - y * 14)} class="tl-plot" />
            </svg>
            {name}
          </button>
        ))}
      </div>
    </section>
  );
}

/** The path of an easing through many points. */
function plot(easing: string, x: (x: number) => number, y: (y: number) => number): string {
  const steps = easing === "hold" ? [0, 0.999, 1] : Array.from({ length: 33 }, (_, step) => step / 32);
  return steps.map((at, index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(eased(at, easing)).toFixed(1)}`).join("");
}

function Curve({ easing }: { easing: string }) {
  const curve = easingCurve(easing) ?? ([1 / 3, 0, 2 / 3, 1] as Bezier);
  const [x1, y1, x2, y2] = curve;
  return (
    <>
      <path d={plot(easing, px, py)} class="tl-plot is-main" />
      <line x1={px(0)} y1={py(0)} x2={px(x1)} y2={py(y1)} class="tl-arm" />
      <line x1={px(1)} y1={py(1)} x2={px(x2)} y2={py(y2)} class="tl-arm" />
      <circle cx={px(x1)} cy={py(y1)} r="6" class="tl-handle" data-handle="1" onPointerDown={(event) => bend(event, curve, 0)} />
      <circle cx={px(x2)} cy={py(y2)} r="6" class="tl-handle" data-handle="2" onPointerDown={(event) => bend(event, curve, 2)} />
    </>
  );
}

/** A handle of the curve is dragged; `first` is the place of its x among the curve's numbers. */
function bend(event: PointerEvent, from: Bezier, first: 0 | 2): void {
  event.preventDefault();
  const svg = (event.currentTarget as SVGElement).ownerSVGElement as SVGSVGElement;
  const scale = WIDE / svg.getBoundingClientRect().width;
  const [held, name] = [picked.value, pickedName()];
  followPointer(event, {
    move: (dx, dy) => {
      const next = [...from] as Bezier;
      next[first] = clamp(from[first] + (dx * scale) / SIZE, 0, 1);
      next[first + 1] = clamp((from[first + 1] as number) - (dy * scale) / SIZE, -BEYOND / SIZE, 1 + BEYOND / SIZE);
      tryEasing(held, curveText(next));
    },
    end: (moved) => {
      if (moved) void settle(`Easing of ${name}`);
    },
    cancel: () => giveUp(held),
  });
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

const GRAPH = { width: 300, height: 110 };

function Values() {
  const target = selected.value ?? "";
  const choices = channelsOf(target);
  const now = choices.includes(channel.value) ? channel.value : "x";
  return (
    <section class="tl-values" aria-label="Values of the motion">
      <div class="row tl-tight">
        <span class="cut grow">{target || "Camera"}</span>
        <div class="segmented" role="radiogroup" aria-label="Channel">
          {choices.map((each) => (
            <button type="button" key={each} role="radio" aria-checked={each === now} onClick={() => (channel.value = each)}>
              {each}
            </button>
          ))}
        </div>
      </div>
      <Graph target={target} />
    </section>
  );
}

const UNITS = { x: "", y: "", z: "", turn: "°", tilt: "°", scale: "×", zoom: "×" } as const;

function Graph({ target }: { target: string }) {
  const now = motion.value;
  const of = channelsOf(target).includes(channel.value) ? channel.value : "x";
  const found = now && values(now, target, of);
  if (!found?.length) return <p class="dim">It does not move.</p>;
  const [low, high] = range(found);
  const x = (at: number) => 4 + (at / Math.max(found.length - 1, 1)) * (GRAPH.width - 8);
  const y = (value: number) => GRAPH.height - 8 - ((value - low) / (high - low)) * (GRAPH.height - 16);
  const path = found.map((value, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(2)}`).join("");
  const keys = (rows.value.get(target) ?? []).flatMap((row) => row.keys ?? []).filter((mark) => mark.key >= 0);
  const seek = (event: PointerEvent) => {
    const svg = event.currentTarget as SVGElement;
    const to = (each: PointerEvent) => {
      const box = svg.getBoundingClientRect();
      goTo((((each.clientX - box.left) / box.width) * GRAPH.width - 4) / (GRAPH.width - 8) * (found.length - 1));
    };
    to(event);
    followPointer(event, { move: (_dx, _dy, each) => to(each) });
  };
  return (
    <div class="tl-graph">
      <svg viewBox={`0 0 ${GRAPH.width} ${GRAPH.height}`} preserveAspectRatio="none" onPointerDown={seek} role="img" aria-label={`${of} over time`}>
        <path d={path} class="tl-plot is-main" vector-effect="non-scaling-stroke" />
        <GraphHead x={x} />
      </svg>
      {keys.map((mark) => (
        <i key={mark.key} class="tl-point" style={{ left: percent(x(mark.frame), GRAPH.width), top: percent(y(found[Math.round(mark.frame)] ?? low), GRAPH.height) }} />
      ))}
      <span class="tl-scale is-high number">{label(high) + UNITS[of]}</span>
      <span class="tl-scale is-low number">{label(low) + UNITS[of]}</span>
      <GraphValue found={found} unit={UNITS[of]} />
    </div>
  );
}

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(2)}%`;

function GraphHead({ x }: { x: (at: number) => number }) {
  return <line x1={x(frame.value)} x2={x(frame.value)} y1="0" y2={GRAPH.height} class="tl-graph-head" vector-effect="non-scaling-stroke" />;
}

function GraphValue({ found, unit }: { found: number[]; unit: string }) {
  return <span class="tl-scale is-now number">{label(found[Math.min(frame.value, found.length - 1)] ?? 0) + unit}</span>;
}

const label = (value: number) => String(Number(value.toFixed(Math.abs(value) < 10 ? 2 : 1)));

/** Lowest and highest value; a line that is level lies in the middle. */
function range(found: number[]): [number, number] {
  const [low, high] = [Math.min(...found), Math.max(...found)];
  return high - low > 1e-6 ? [low, high] : [low - 0.5, low + 0.5];
}
