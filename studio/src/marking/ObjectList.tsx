/** The marked objects in order, with ways to find more. */

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { document_, tell } from "../state.ts";
import type { MaskObject } from "../types.ts";
import { Icon } from "../ui/Icon.tsx";
import { ChoiceOptions, withFile } from "./Choices.tsx";
import { choices, chooseNew, chosenId, mark, sendMaskFile, working } from "./marks.ts";

/** Id of the object whose row is being dragged. */
const dragged = signal<string | null>(null);

export function ObjectList() {
  const objects = document_.value?.objects ?? [];
  return (
    <section class="section" aria-label="Marked objects">
      <h3>
        Objects
        <span class="row">
          <button type="button" class="quiet" disabled={chosenId.value === null} title="Nothing chosen: what is drawn next is a new object (N)" onClick={() => (chosenId.value = null)}>
            New
          </button>
        </span>
      </h3>
      {objects.length ? (
        <ul class="marked">
          {objects.map((object, index) => (
            <Row key={object.id} object={object} index={index} objects={objects} />
          ))}
        </ul>
      ) : (
        <p class="dim">Drag a box around something that is to move.</p>
      )}
      <Find />
    </section>
  );
}

function Row({ object, index, objects }: { object: MaskObject; index: number; objects: MaskObject[] }) {
  const move = (from: number, to: number) => {
    const ids = objects.map((each) => each.id);
    ids.splice(to, 0, ...ids.splice(from, 1));
    if (from !== to) void mark("Ordering…", { order: ids });
  };
  const takeDragged = (event: DragEvent) => {
    const from = objects.findIndex((each) => each.id === dragged.value);
    if (from < 0) return;
    event.preventDefault();
    event.stopPropagation();
    dragged.value = null;
    move(from, index);
  };
  const isChosen = chosenId.value === object.id;
  return (
    <li
      class={isChosen ? "chosen" : ""}
      draggable
      title="Drag to another place in the order of ids"
      onDragStart={() => (dragged.value = object.id)}
      onDragEnd={() => (dragged.value = null)}
      onDragOver={(event) => dragged.value && event.preventDefault()}
      onDrop={takeDragged}
    >
      <button type="button" class="quiet marked-name" aria-pressed={isChosen} onClick={() => (chosenId.value = isChosen ? null : object.id)}>
        <span class="swatch" style={{ background: object.color }} />
        <span class="cut">{object.name}</span>
        <span class="faint cut">{object.occluder ? "hides others" : (object.mesh ?? object.kind ?? "")}</span>
      </button>
      <button type="button" class="quiet icon" aria-label={`${object.name} earlier`} title="Earlier in the order of ids" disabled={index === 0} onClick={() => move(index, index - 1)}>
        <span class="turned">
          <Icon name="down" />
        </span>
      </button>
      <button type="button" class="quiet icon" aria-label={`${object.name} later`} title="Later in the order of ids" disabled={index === objects.length - 1} onClick={() => move(index, index + 1)}>
        <Icon name="down" />
      </button>
      <button type="button" class="quiet icon" aria-label={`Delete ${object.name}`} title="Delete (Del)" onClick={() => void mark("Deleting…", { delete: object.id })}>
        <Icon name="trash" />
      </button>
    </li>
  );
}

/** Words, proposals, mask files. */
function Find() {
  const [words, setWords] = useState("");
  const busy = working.value !== "";
  const find = async (asked: string[]) => {
    const before = document_.value?.objects ?? [];
    const found = await mark(asked.length ? `Looking for ${asked.join(", ")}…` : "Looking for what stands out…", { find: { words: asked } });
    if (!found) return;
    chooseNew(before, found);
    setWords("");
    const fresh = found.objects.length - before.length;
    tell(`${fresh} object${fresh === 1 ? "" : "s"} found.`);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const asked = words.split(",").map((word) => word.trim()).filter(Boolean);
    if (asked.length) void find(asked);
  };
  return (
    <div class="find">
      <form class="row" onSubmit={submit}>
        <input class="grow" list="known-words" placeholder="car, person…" aria-label="Words to look for" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        <datalist id="known-words">
          {choices.value?.words.map((word) => (
            <option key={word} value={word} />
          ))}
        </datalist>
        <button type="submit" disabled={busy || !words.trim()}>
          Find
        </button>
      </form>
      <div class="row">
        <button type="button" class="grow" disabled={busy} title="What stands out in the photo" onClick={() => void find([])}>
          Propose
        </button>
        <label class="button grow" title="White on black, or a cut-out with transparency">
          Mask file…
          <input type="file" accept="image/*" class="hidden-file" aria-label="Mask file" onChange={withFile((file) => void sendMaskFile(file))} />
        </label>
      </div>
      <Segmenter />
    </div>
  );
}

function Segmenter() {
  const lift = document_.value?.lift;
  const found = choices.value?.segmenters;
  if (!lift || !found) return null;
  const now = found.find((one) => one.name === lift.segmenter);
  return (
    <div class="field">
      <label for="segmenter">Cut out by</label>
      <select id="segmenter" title={now?.says} value={lift.segmenter} onChange={(event) => void mark("…", { lift: { ...lift, segmenter: event.currentTarget.value as typeof lift.segmenter } })}>
        <ChoiceOptions of={found} />
      </select>
    </div>
  );
}
