import type { ComponentChildren } from "preact";
import { document_, selected } from "../state.ts";
import { Icon, type IconName } from "../ui/Icon.tsx";
import { choose, dropToGround, toggleLook, toggleSpace } from "./actions.ts";
import { backdrop, exact, guides, lookThrough, slide, snapping, space, steps, tool } from "./options.ts";
import type { Stage } from "./stage.ts";

const TOOLS = [
  { value: "move", label: "Move", keys: "W", icon: "move" },
  { value: "turn", label: "Turn", keys: "E", icon: "turn" },
  { value: "scale", label: "Scale", keys: "R", icon: "scale" },
] as const;

/** Tools on the left, what is seen on the right. */
export function Toolbar({ stage }: { stage: Stage | null }) {
  return (
    <div class="viewport-bar" role="toolbar" aria-label="Viewport">
      <div class="segmented" role="radiogroup" aria-label="Tool">
        {TOOLS.map((one) => (
          <button
            type="button"
            role="radio"
            class="icon"
            key={one.value}
            aria-label={one.label}
            aria-checked={tool.value === one.value}
            title={`${one.label} (${one.keys})`}
            onClick={choose(one.value)}
          >
            <Icon name={one.icon} />
          </button>
        ))}
      </div>
      <button type="button" aria-label="Axes" title="Whose axes the handles have (X)" onClick={toggleSpace}>
        {space.value === "world" ? "World" : "Local"}
      </button>
      <Toggle at={snapping} icon="snap" label="Snap" hint="Snap to steps; with Ctrl held it is the other way round" />
      {snapping.value && <Step />}
      <Toggle at={slide} icon="frustum" label="Slide on ground" hint="Moving keeps the height above the ground (H)">
        Level
      </Toggle>
      <button
        type="button"
        class="icon"
        aria-label="Drop to ground"
        title="Drop to ground (G)"
        disabled={!selected.value || document_.value?.scene?.groundY == null}
        onClick={() => stage && dropToGround(stage)}
      >
        <Icon name="ground" />
      </button>
      <span class="grow" />
      {lookThrough.value ? (
        <label class="backdrop-strength" title="How bright the photo is behind the scene">
          <Icon name="photo" />
          <input
            type="range"
            aria-label="Brightness of the photo"
            min="0"
            max="1"
            step="0.05"
            value={backdrop.value}
            onInput={(event) => (backdrop.value = Number(event.currentTarget.value))}
          />
        </label>
      ) : (
        <Toggle at={guides} icon="globe" label="Guides" hint="Ground, cameras, photo and paths" />
      )}
      {lookThrough.value && (
        <Toggle at={exact} label="Exact" hint="When the view stands still, show the renderer's own frame">
          Exact
        </Toggle>
      )}
      <div class="segmented" role="radiogroup" aria-label="Camera">
        <button type="button" role="radio" aria-checked={lookThrough.value} title="Look through the shot's camera (V)" onClick={() => !lookThrough.value && toggleLook()}>
          <Icon name="camera" />
          Camera
        </button>
        <button type="button" role="radio" aria-checked={!lookThrough.value} title="Look around freely (V)" onClick={() => lookThrough.value && toggleLook()}>
          <Icon name="globe" />
          Free
        </button>
      </div>
    </div>
  );
}

function Toggle({
  at, icon, label, hint, children,
}: { at: { value: boolean }; icon?: IconName; label: string; hint: string; children?: ComponentChildren }) {
  return (
    <button type="button" class={children ? "" : "icon"} aria-label={label} aria-pressed={at.value} title={hint} onClick={() => (at.value = !at.value)}>
      {children ?? (icon && <Icon name={icon} />)}
    </button>
  );
}

const UNITS = { move: "units", turn: "°", scale: "×" } as const;

/** The step of the tool that is chosen. */
function Step() {
  const kind = tool.value;
  return (
    <label class="snap-step">
      <input
        type="number"
        min="0.001"
        step="any"
        aria-label={`Snap step of ${kind}`}
        value={steps.value[kind]}
        onChange={(event) => {
          const value = Number(event.currentTarget.value);
          if (value > 0) steps.value = { ...steps.value, [kind]: value };
          else event.currentTarget.value = String(steps.value[kind]);
        }}
      />
      <span class="dim">{kind === "move" && document_.value?.scene?.unit === "metre" ? "m" : UNITS[kind]}</span>
    </label>
  );
}
