import { close, connected, redo, undo } from "../session.ts";
import { sheetOpen } from "../shortcuts/Sheet.tsx";
import { document_, jobs, place, unsaved, view } from "../state.ts";
import type { JobData } from "../types.ts";
import { Icon } from "../ui/Icon.tsx";
import { PLACES, VIEWS } from "./choices.ts";
import "./TopBar.css";

/** Name of the workspace, undo and redo, what the middle shows, and whether all is saved. */
export function TopBar() {
  const now = document_.value;
  return (
    <header class="top panel topbar" aria-label="Studio">
      <div class="topbar-side">
        <button type="button" class="quiet icon" aria-label="All workspaces" title="All workspaces" onClick={() => void close()}>
          <Icon name="back" />
        </button>
        <h1 class="cut" title={now?.name}>
          {now?.name}
        </h1>
        <button
          type="button"
          class="quiet icon"
          aria-label="Undo"
          title={now?.undo ? `Undo: ${now.undo} (Ctrl+Z)` : "Nothing to undo"}
          disabled={!now?.undo}
          onClick={() => void undo()}
        >
          <Icon name="undo" />
        </button>
        <button
          type="button"
          class="quiet icon"
          aria-label="Redo"
          title={now?.redo ? `Redo: ${now.redo} (Shift+Ctrl+Z)` : "Nothing to redo"}
          disabled={!now?.redo}
          onClick={() => void redo()}
        >
          <Icon name="redo" />
        </button>
        <SaveState />
      </div>
      <Choice label="What the middle shows" of={PLACES} at={place} />
      <div class="topbar-side end">
        <Jobs />
        {place.value === "direct" && now?.scene && <Choice label="View" of={VIEWS} at={view} />}
        <button type="button" class="quiet icon" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => (sheetOpen.value = true)}>
          <Icon name="help" />
        </button>
      </div>
    </header>
  );
}

function Choice<T extends string>({ label, of, at }: { label: string; of: readonly { value: T; label: string; hint: string }[]; at: { value: T } }) {
  return (
    <div class="segmented" role="radiogroup" aria-label={label}>
      {of.map((one) => (
        <button type="button" role="radio" key={one.value} title={one.hint} aria-checked={at.value === one.value} onClick={() => (at.value = one.value)}>
          {one.label}
        </button>
      ))}
    </div>
  );
}

function SaveState() {
  const [kind, text] = !connected.value
    ? (["bad", "Server lost"] as const)
    : unsaved.value
      ? (["busy", "Saving…"] as const)
      : (["good", "Saved"] as const);
  return (
    <span class={`save-state ${kind}`} role="status" aria-label="Save state" title={HINTS[kind]}>
      {text}
    </span>
  );
}

const HINTS = {
  good: "Every change is on disk.",
  busy: "A change is on its way to the disk.",
  bad: "The server does not answer. Start r2s2r studio again; nothing that was saved is lost.",
};

function Jobs() {
  const active = jobs.value.filter((job) => job.state === "running" || job.state === "queued");
  const first = active.find((job) => job.state === "running") ?? active[0];
  if (!first) return null;
  return (
    <span class="top-job" title={`${first.title}: ${first.step || "waits"}`}>
      <span class="cut">
        {first.title}
        {active.length > 1 ? ` (+${active.length - 1})` : ""}
      </span>
      <progress aria-label={first.title} {...progressOf(first)} />
    </span>
  );
}

const progressOf = (job: JobData) => (job.total > 0 ? { value: job.done, max: job.total } : {});
