import { signal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { leftVideo, rightVideo } from "../compare/choices.ts";
import { duration, label, shown } from "../generate/words.ts";
import { document_, guarded, inTurn, place, takes, tell, workspace } from "../state.ts";
import type { TakeData } from "../types.ts";
import { Icon } from "../ui/Icon.tsx";
import "./TakesPanel.css";

/** Takes that are marked to be compared, at most two. */
const marked = signal<string[]>([]);

/** The shelf: finished generations, to look at, compare, keep, delete and load back. */
export function TakesPanel() {
  const shelf = [...takes.value].reverse();
  if (!shelf.length) return <p class="empty">No takes yet. What is generated is put here, with its shot and its options.</p>;
  const chosen = marked.value.filter((id) => shelf.some((take) => take.id === id));
  return (
    <div>
      <ul class="takes">
        {shelf.map((take) => (
          <Take key={take.id} take={take} />
        ))}
      </ul>
      <div class="section row">
        <button type="button" class="grow" disabled={chosen.length !== 2} onClick={() => compare(chosen)}>
          Compare the two marked
        </button>
      </div>
    </div>
  );
}

function compare([one, other]: string[]): void {
  if (!one || !other) return;
  leftVideo.value = one;
  rightVideo.value = other;
  place.value = "compare";
}

function Take({ take }: { take: TakeData }) {
  const [asking, ask] = useState(false);
  const at = workspace.value;
  if (!at) return null;
  const moved = document_.value?.scene && document_.value.scene.id !== take.scene;
  const facts = [take.checkpoint, take.preset, `seed ${take.seed}`, `${take.frames} frames`, duration(take.seconds)];
  return (
    <li class="take" aria-label={take.name}>
      <Film take={take} />
      <div class="take-words">
        <div class="row">
          <input
            class="grow take-name"
            aria-label="Name of the take"
            value={take.name}
            maxLength={120}
            onChange={(event) => void guarded(() => at.changeTake(take.id, { name: event.currentTarget.value }))}
          />
          <button
            type="button"
            class="quiet icon"
            aria-pressed={take.keep}
            aria-label={take.keep ? `Do not keep ${take.name}` : `Keep ${take.name}`}
            title={take.keep ? "Kept: it cannot be deleted" : "Keep: it cannot be deleted then"}
            onClick={() => void guarded(() => at.changeTake(take.id, { keep: !take.keep }))}
          >
            <Icon name={take.keep ? "lock" : "unlock"} />
          </button>
        </div>
        <p class="dim cut" title={facts.filter(Boolean).join(" · ")}>
          {facts.filter(Boolean).join(" · ")}
        </p>
        {moved && <p class="stale">The scene has changed since.</p>}
        <div class="row">
          <label class="row" title="Mark two to compare them">
            <input type="checkbox" checked={marked.value.includes(take.id)} onChange={(event) => mark(take.id, event.currentTarget.checked)} />
            compare
          </label>
          <button type="button" title="Its shot becomes the document's, as one step of undo" onClick={() => void load(take)}>
            Load its shot
          </button>
          <a class="quiet icon take-link" aria-label={`Download ${take.name}`} title="Download" href={at.url(`takes/${take.id}/video.mp4`)} download={`${take.name}.mp4`}>
            <Icon name="download" />
          </a>
          <button type="button" class="quiet icon" aria-label={`Delete ${take.name}`} title={take.keep ? "It is kept" : "Delete"} disabled={take.keep} onClick={() => ask(true)}>
            <Icon name="trash" />
          </button>
        </div>
        {asking && (
          <div class="row ask" role="alertdialog" aria-label={`Delete ${take.name}?`}>
            <span class="grow">Delete it for good?</span>
            <button type="button" onClick={() => ask(false)}>
              No
            </button>
            <button type="button" class="primary" onClick={() => void guarded(() => at.deleteTake(take.id))}>
              Delete
            </button>
          </div>
        )}
        <Details take={take} />
      </div>
    </li>
  );
}

/** The poster, which plays while the pointer is on it. */
function Film({ take }: { take: TakeData }) {
  const video = useRef<HTMLVideoElement>(null);
  const at = workspace.value;
  if (!at) return null;
  const enter = () => void video.current?.play().catch(() => undefined);
  const leave = () => {
    video.current?.pause();
    video.current?.load(); // back to the poster
  };
  return (
    <video
      ref={video}
      class="take-film"
      aria-label={`Video of ${take.name}`}
      poster={at.url(`takes/${take.id}/poster.jpg`)}
      src={at.url(`takes/${take.id}/video.mp4`)}
      preload="none"
      muted
      loop
      playsInline
      tabIndex={0}
      onPointerEnter={enter}
      onPointerLeave={leave}
      onFocus={enter}
      onBlur={leave}
    />
  );
}

function Details({ take }: { take: TakeData }) {
  const options = Object.entries(take.options.generate);
  return (
    <details>
      <summary>How it was made</summary>
      <dl class="take-facts">
        {take.prompt && (
          <div>
            <dt>Prompt</dt>
            <dd>{take.prompt}</dd>
          </div>
        )}
        {options.map(([name, value]) => (
          <div key={name}>
            <dt>{label(name)}</dt>
            <dd>{shown(value)}</dd>
          </div>
        ))}
      </dl>
      <ul class="dim">
        {take.notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </details>
  );
}

function mark(id: string, on: boolean): void {
  const others = marked.value.filter((one) => one !== id);
  marked.value = on ? [...others.slice(-1), id] : others;
}

function load(take: TakeData): Promise<void> {
  return inTurn(async () => {
    const [at, now] = [workspace.value, document_.value];
    if (!at || !now) return;
    const found = await guarded(() => at.loadTake(take.id, now.revision));
    if (!found) return;
    document_.value = found;
    if (found.scene && found.scene.id !== take.scene) {
      tell(`The shot of ${take.name} is loaded. The scene has changed since it was made, so the video would come out otherwise; undo brings earlier scenes back.`);
    }
  });
}
