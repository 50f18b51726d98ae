import { signal } from "@preact/signals";
import type { ComponentChild } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Listed, listed } from "../scene.ts";
import { shortcut } from "../shortcuts/registry.ts";
import { document_, place, selected } from "../state.ts";
import { Icon } from "../ui/Icon.tsx";
import { toggleIn } from "../viewport/actions.ts";
import { hiddenInView, locked } from "../viewport/options.ts";
import { duplicate, remove, rename, restore, toggleHidden } from "./edits.ts";
import "./Outliner.css";

const chosen = (): Listed | undefined => listed.peek().find((one) => one.name === selected.peek());
const canEdit = () => place.value === "direct" && chosen() !== undefined;
const onChosen = (work: (one: Listed) => unknown) => () => {
  const one = chosen();
  if (one) void work(one);
};

shortcut("Delete", "Delete the selected object", onChosen((one) => !one.removed && remove(one)), { group: "Scene", when: canEdit });
shortcut("Shift+d", "Duplicate the selected object", onChosen(duplicate), { group: "Scene", when: canEdit });
shortcut("F2", "Rename the selected object", onChosen((one) => (renaming.value = one.name)), { group: "Scene", when: canEdit });

/** Name of the entity whose name is being typed; one at a time. */
const renaming = signal<string | null>(null);

interface Node {
  one: Listed;
  below: Node[];
}

/** Entities below what they stand on or belong to; circles and unknown carriers stand by themselves. */
function tree(all: readonly Listed[]): Node[] {
  const nodes = new Map(all.map((one) => [one.name, { one, below: [] as Node[] }]));
  const roots: Node[] = [];
  for (const node of nodes.values()) {
    const above = node.one.carrier === null || node.one.removed ? undefined : nodes.get(node.one.carrier);
    (above && !above.one.removed ? above.below : roots).push(node);
  }
  return roots;
}

/** The camera and all entities: select, rename, hide, lock, duplicate, delete. */
export function Outliner() {
  if (!document_.value?.scene) return <NoScene />;
  const all = listed.value;
  const one = all.find((each) => each.name === selected.value);
  const row = (node: Node, depth: number): ComponentChild[] => [
    <Row key={node.one.name} one={node.one} depth={depth} />,
    ...node.below.flatMap((below) => row(below, depth + 1)),
  ];
  return (
    <>
      <div class="panel-title">
        <span>Scene</span>
        <span class="row">
          <button type="button" class="quiet icon" aria-label="Duplicate" title="Duplicate (Shift+D)" disabled={!one || one.removed} onClick={() => one && void duplicate(one)}>
            <Icon name="copy" />
          </button>
          <button type="button" class="quiet icon" aria-label="Delete" title="Delete (Del)" disabled={!one || one.removed} onClick={() => one && void remove(one)}>
            <Icon name="trash" />
          </button>
        </span>
      </div>
      <div class="panel-body">
        <ul class="outliner" role="tree" aria-label="Scene">
          <CameraRow />
          {tree(all.filter((each) => !each.removed)).map((node) => row(node, 0))}
          {all.filter((each) => each.removed).map((each) => <RemovedRow key={each.name} one={each} />)}
        </ul>
      </div>
    </>
  );
}

function NoScene() {
  return (
    <>
      <div class="panel-title">Scene</div>
      <p class="empty">Nothing is lifted yet. Mark objects on the photo, then lift them.</p>
    </>
  );
}

function CameraRow() {
  return (
    <li role="treeitem" aria-selected={selected.value === ""} aria-label="Camera" class="outliner-row" onClick={() => (selected.value = "")}>
      <Icon name="camera" />
      <span class="grow cut">Camera</span>
    </li>
  );
}

function Row({ one, depth }: { one: Listed; depth: number }) {
  const [out, held] = [hiddenInView.value.includes(one.name), locked.value.includes(one.name)];
  const mark = one.data?.warning;
  return (
    <li
      role="treeitem"
      aria-selected={selected.value === one.name}
      aria-label={one.name}
      aria-level={depth + 1}
      class={`outliner-row${one.hidden || out ? " faded" : ""}`}
      style={{ paddingLeft: `${12 + depth * 16}px` }}
      title={describe(one)}
      onClick={() => (selected.value = one.name)}
      onDblClick={() => (renaming.value = one.name)}
    >
      <span class="outliner-dot" style={{ background: one.color }} />
      {renaming.value === one.name ? <NameField one={one} /> : <span class="grow cut">{one.name}</span>}
      {mark && (
        <span class="outliner-mark" role="img" aria-label={`Warning: ${mark}`} title={mark}>
          <Icon name="warning" />
        </span>
      )}
      <RowButton name="film" label={`Hide ${one.name} in the shot`} on={one.hidden} hint={one.hidden ? "Show in the shot" : "Hide in the shot"} run={() => toggleHidden(one)} />
      <RowButton name={out ? "eyeOff" : "eye"} label={`Hide ${one.name} in the view`} on={out} hint={out ? "Show in the view" : "Hide in the view alone"} run={() => toggleIn(hiddenInView, one.name)} />
      <RowButton name={held ? "lock" : "unlock"} label={`Lock ${one.name}`} on={held} hint={held ? "Unlock" : "Lock: the mouse does not take it in the view"} run={() => toggleIn(locked, one.name)} />
    </li>
  );
}

const describe = (one: Listed) =>
  [one.copyOf ? `Copy of ${one.copyOf}` : "", one.carrier ? `Goes along with ${one.carrier}` : "", "Double-click to rename"].filter(Boolean).join(". ");

function RowButton({ name, label, on, hint, run }: { name: "film" | "eye" | "eyeOff" | "lock" | "unlock"; label: string; on: boolean; hint: string; run: () => void }) {
  return (
    <button
      type="button"
      class={`outliner-button${on ? " on" : ""}`}
      aria-label={label}
      aria-pressed={on}
      title={hint}
      onClick={(event) => {
        event.stopPropagation();
        run();
      }}
      onDblClick={(event) => event.stopPropagation()}
    >
      <Icon name={name} />
    </button>
  );
}

function NameField({ one }: { one: Listed }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  const finish = (keep: boolean) => {
    if (renaming.value !== one.name) return;
    const text = field.current?.value ?? "";
    renaming.value = null;
    if (keep) void rename(one, text);
  };
  return (
    <input
      ref={field}
      class="grow"
      type="text"
      aria-label={`Name of ${one.name}`}
      defaultValue={one.name}
      onClick={(event) => event.stopPropagation()}
      onDblClick={(event) => event.stopPropagation()}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") finish(false);
      }}
    />
  );
}

function RemovedRow({ one }: { one: Listed }) {
  return (
    <li role="treeitem" aria-label={`${one.name}, deleted`} aria-selected={false} class="outliner-row faded removed" title="Taken out of the shot">
      <span class="outliner-dot" style={{ background: one.color }} />
      <span class="grow cut">{one.name}</span>
      <button type="button" class="quiet" aria-label={`Restore ${one.name}`} onClick={() => void restore(one)}>
        Restore
      </button>
    </li>
  );
}
