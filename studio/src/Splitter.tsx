import type { Signal } from "@preact/signals";

interface Edge {
  at: Signal<number>;
  /** Which way the panel grows when the pointer goes right or down: 1 or -1. */
  sign: 1 | -1;
  axis: "x" | "y";
  least: number;
  most: number;
  label: string;
  place: string;
}

/** The line between two panels; dragging it sizes one of them. */
export function Splitter({ at, sign, axis, least, most, label, place }: Edge) {
  const take = (event: PointerEvent) => {
    const line = event.currentTarget as HTMLElement;
    const [from, size] = [axis === "x" ? event.clientX : event.clientY, at.value];
    line.setPointerCapture(event.pointerId);
    line.onpointermove = (move) => {
      const now = axis === "x" ? move.clientX : move.clientY;
      at.value = Math.round(Math.min(most, Math.max(least, size + sign * (now - from))));
    };
    line.onpointerup = () => {
      line.onpointermove = null;
    };
  };
  return (
    <div
      class={`splitter ${place}`}
      role="separator"
      aria-label={label}
      aria-orientation={axis === "x" ? "vertical" : "horizontal"}
      aria-valuenow={at.value}
      onPointerDown={take}
    />
  );
}
