/** Following a pointer from its press to its release. */

export interface Dragging {
  /** Pixels since the press. */
  move: (dx: number, dy: number, event: PointerEvent) => void;
  /** `moved` is false for a click. */
  end?: (moved: boolean, event: PointerEvent) => void;
  /** Escape was pressed, or the system took the pointer. */
  cancel?: () => void;
}

const SLACK = 3;

/** Follows the pointer that was pressed; moves of less than three pixels are a click. */
export function followPointer(press: PointerEvent, does: Dragging): void {
  let moved = false;
  const stop = new AbortController();
  const { signal } = stop;
  const mine = (event: PointerEvent) => event.pointerId === press.pointerId;
  const onMove = (event: PointerEvent) => {
    const [dx, dy] = [event.clientX - press.clientX, event.clientY - press.clientY];
    moved ||= Math.hypot(dx, dy) >= SLACK;
    if (mine(event) && moved) does.move(dx, dy, event);
  };
  const onUp = (event: PointerEvent) => {
    if (!mine(event)) return;
    stop.abort();
    does.end?.(moved, event);
  };
  const giveUp = () => {
    stop.abort();
    does.cancel?.();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    giveUp();
  };
  addEventListener("pointermove", onMove, { signal });
  addEventListener("pointerup", onUp, { signal });
  addEventListener("pointercancel", giveUp, { signal });
  addEventListener("keydown", onKey, { signal, capture: true });
}
