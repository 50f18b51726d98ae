import { useState } from "preact/hooks";
import { followPointer } from "./drag.ts";

interface Props {
  label: string;
  /** What stands before the field; it can be dragged. Without one the field stands alone. */
  caption?: string;
  value: number;
  unit?: string;
  /** Beside what it says by itself. */
  title?: string;
  min?: number;
  max?: number;
  digits?: number;
  /** What an arrow key or 8 pixels of a drag change. */
  step: number;
  disabled?: boolean;
  /** While it is dragged. */
  onTry?: (value: number) => void;
  onChange: (value: number) => void;
  onCancel?: () => void;
}

/** A number with its unit: typed, stepped with the arrow keys (Shift ×10, Alt ÷10), or dragged by its caption. */
export function NumberField({ label, caption, value, unit = "", title, min = -Infinity, max = Infinity, digits = 3, step, disabled = false, onTry, onChange, onCancel }: Props) {
  const [typed, setTyped] = useState<string | null>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const shown = shortest(dragged ?? value, digits);
  const inside = (number: number) => Math.min(Math.max(number, min), max);
  const finish = (text: string) => {
    setTyped(null);
    const number = Number(text.replace(",", ".").replace(/[^\d.eE+-]+$/, ""));
    if (text.trim() !== "" && Number.isFinite(number) && shortest(number, digits) !== shortest(value, digits)) onChange(inside(number));
  };
  const onKey = (event: KeyboardEvent & { currentTarget: HTMLInputElement }) => {
    const way = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (event.key === "Enter") event.currentTarget.blur();
    if (event.key === "Escape") {
      setTyped(null);
      event.currentTarget.value = shown;
      event.currentTarget.blur();
    }
    if (!way) return;
    event.preventDefault();
    setTyped(null);
    onChange(inside(rounded(value + way * step * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1), digits)));
  };
  const drag = (press: PointerEvent) => {
    if (disabled) return;
    press.preventDefault();
    const at = (dx: number) => inside(rounded(value + Math.round(dx / 4) * step * 0.5, digits));
    let last = value;
    followPointer(press, {
      move: (dx) => {
        last = at(dx);
        setDragged(last);
        onTry?.(last);
      },
      end: (moved) => {
        setDragged(null);
        if (moved) onChange(last);
      },
      cancel: () => {
        setDragged(null);
        onCancel?.();
      },
    });
  };
  return (
    <label class={`number-field${disabled ? " off" : ""}`} title={title}>
      {caption && (
        <span class="number-caption" onPointerDown={drag} title="Drag to change">
          {caption}
        </span>
      )}
      <input
        type="text"
        inputMode="decimal"
        aria-label={label}
        disabled={disabled}
        value={typed ?? shown}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
        onBlur={(event) => finish(event.currentTarget.value)}
        onKeyDown={onKey}
      />
      {unit && <span class="number-unit">{unit}</span>}
    </label>
  );
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));
const shortest = (value: number, digits: number) => String(rounded(value, digits) + 0);
