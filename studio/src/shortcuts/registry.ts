/** All keyboard shortcuts of the page, in one place: what they do is listed on the sheet (`?`). */

import { signal } from "@preact/signals";

export interface Shortcut {
  /** Such as `w`, `Ctrl+Shift+z`, `Space`, `ArrowLeft`, `?`. Ctrl is also the Command key. */
  keys: string;
  label: string;
  group: string;
  run: (event: KeyboardEvent) => void;
  when: () => boolean;
}

export const shortcuts = signal<readonly Shortcut[]>([]);

/**
 * Registers a shortcut; the last one registered for its keys whose `when` holds is run. Gives a function that takes it away.
 * It is never run while a person types in a field, nor while a dialog is open.
 */
export function shortcut(
  keys: string,
  label: string,
  run: (event: KeyboardEvent) => void,
  { group = "General", when = () => true }: { group?: string; when?: () => boolean } = {},
): () => void {
  const added: Shortcut = { keys, label, group, run, when };
  shortcuts.value = [...shortcuts.value, added];
  return () => {
    shortcuts.value = shortcuts.value.filter((other) => other !== added);
  };
}

type Pressed = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** The words of a key press, as `Shortcut.keys` writes them. */
export function keysOf(event: Pressed): string {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Shift is part of what signs such as ? and + are; it is said for letters and named keys alone.
  const shift = event.shiftKey && (key.length > 1 || /[a-z0-9]/.test(key));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio])"));

/** What has the focus because it was clicked: browsers call it focus-visible from the next key on. */
let clicked: EventTarget | null = null;

/** A control that was reached by keyboard keeps the keys that work it; a slider that was pulled keeps the arrows. */
const ownKey = (target: EventTarget | null, keys: string) =>
  target instanceof HTMLElement &&
  ((target !== clicked && target.matches("button:focus-visible, [role=tab]:focus-visible, input:focus-visible") && /^(Space|Enter)$/.test(keys)) ||
    (target.matches("input[type=range], [role=slider]") && (target === clicked ? /^Arrow\w+$/ : /^(Arrow\w+|Home|End|PageUp|PageDown)$/).test(keys)));

/** Enter ends typing in a field, so that the keys after it are shortcuts again; a form sends itself. */
function leaveField({ key, target }: KeyboardEvent): void {
  if (key === "Enter" && target instanceof HTMLInputElement && typing(target) && !target.form) target.blur();
}

/** The list that the pointer was last pressed on, with no key since. */
let opened: EventTarget | null = null;

/** A choice by the pointer ends with it, so that the keys after it are shortcuts again and do not choose another. */
function leaveList({ target }: Event): void {
  if (target instanceof HTMLSelectElement && target === opened) target.blur();
}

function onKey(event: KeyboardEvent): void {
  opened = null;
  leaveField(event);
  if (event.defaultPrevented || typing(event.target) || document.querySelector("dialog[open]")) return;
  const keys = keysOf(event);
  if (ownKey(event.target, keys)) return;
  const found = shortcuts.value.findLast((one) => one.keys.toLowerCase() === keys.toLowerCase() && one.when());
  if (!found) return;
  event.preventDefault();
  found.run(event);
}

/** Starts to listen. Call it once. */
export function listenToKeys(): void {
  addEventListener("keydown", onKey);
  addEventListener("click", (event) => (clicked = event.detail > 0 ? document.activeElement : null));
  addEventListener("focusin", () => (clicked = null));
  addEventListener("pointerdown", (event) => (opened = event.target), { capture: true });
  addEventListener("change", leaveList);
}
