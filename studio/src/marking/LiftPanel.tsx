/** How the objects become meshes, and the job that makes them. */

import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { document_, guarded, jobs, place, tell, workspace } from "../state.ts";
import type { Choice, JobData, LiftChoice } from "../types.ts";
import { ChoiceOptions, withFile } from "./Choices.tsx";
import { choices, mark, sendDepth } from "./marks.ts";

const more = signal(false);
/** The job that this page has started, whose end brings it to the scene. */
const mine = signal<string | null>(null);

export function LiftPanel() {
  useEffect(() => effect(goToScene), []);
  const objects = (document_.value?.objects ?? []).filter((each) => !each.occluder);
  const lift = document_.value?.lift;
  const job = jobs.value.findLast((each) => each.kind === "lift");
  const busy = job?.state === "running" || job?.state === "queued";
  if (!lift) return null;
  return (
    <section class="section lift-panel" aria-label="Lift">
      <button type="button" class="quiet more" aria-expanded={more.value} onClick={() => (more.value = !more.value)}>
        How to lift {more.value ? "▾" : "▸"}
      </button>
      {more.value && (
        <div class="lift-options">
          <Options lift={lift} />
          <Shell />
        </div>
      )}
      {job && <Progress job={job} />}
      <button type="button" class="primary wide" disabled={busy || !objects.length} title={objects.length ? "Make meshes of the marked objects" : "Mark an object first"} onClick={() => void start()}>
        {document_.value?.scene ? "Lift again" : "Lift"} {objects.length ? `${objects.length} object${objects.length > 1 ? "s" : ""}` : ""}
      </button>
    </section>
  );
}

async function start(): Promise<void> {
  const at = workspace.value;
  const job = at && (await guarded(() => at.start("lift")));
  if (job) mine.value = job.id;
}

/** When the scene has come, it is shown. */
function goToScene(): void {
  const job = jobs.value.find((each) => each.id === mine.value);
  if (!job || job.state === "queued" || job.state === "running") return;
  mine.value = null;
  if (job.state === "done") {
    place.value = "direct";
    for (const note of job.notes) if (note.includes("left out of the shot")) tell(note);
  }
}

function Progress({ job }: { job: JobData }) {
  const busy = job.state === "running" || job.state === "queued";
  if (job.state === "done" && job.notes.length > 0) return <Notes notes={job.notes} />;
  if (!busy && job.state !== "failed") return null;
  const left = job.secondsLeft === null ? "" : `, about ${Math.ceil(job.secondsLeft)} s left`;
  return (
    <div class="lift-progress">
      {busy ? (
        <div class="row">
          <span class="grow cut" role="status">
            {job.state === "queued" ? "Waiting for its turn" : job.step || "Starting"}
            {left}
          </span>
          <button type="button" onClick={() => void guarded(async () => workspace.value?.cancel(job.id))}>
            Cancel
          </button>
        </div>
      ) : (
        <p class="error-text" role="alert">
          {job.error}
        </p>
      )}
      {busy && <progress value={job.total ? job.done : undefined} max={job.total || 1} />}
    </div>
  );
}

function Notes({ notes }: { notes: string[] }) {
  return (
    <details class="missing lift-notes">
      <summary>What the last lift says ({notes.length})</summary>
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </details>
  );
}

function Options({ lift }: { lift: LiftChoice }) {
  const set = (change: Partial<LiftChoice>) => void mark("…", { lift: { ...lift, ...change } });
  const found = choices.value;
  return (
    <>
      <Pick id="lifter" label="Lifter" none="Embedded; people where installed" of={found?.lifters ?? []} value={lift.lifter ?? ""} choose={(name) => set({ lifter: name || null })} />
      <div class="field">
        <label for="max-faces">Triangles</label>
        <input id="max-faces" type="number" min="100" step="1000" title="Most triangles of a mesh that is not made by the embedded lifter" value={lift.max_faces} onChange={(event) => set({ max_faces: Math.round(event.currentTarget.valueAsNumber) || 0 })} />
      </div>
      <Depth lift={lift} set={set} />
      <Check label="Stand things on the ground and on each other" checked={lift.contact === "auto"} set={(on) => set({ contact: on ? "auto" : "off" })} />
      <Check label="Draw what else stands in the photo upright" checked={lift.billboards} set={(billboards) => set({ billboards })} />
      <Check label="Lay meshes onto their masks" checked={lift.align} set={(align) => set({ align })} />
    </>
  );
}

function Depth({ lift, set }: { lift: LiftChoice; set: (change: Partial<LiftChoice>) => void }) {
  return (
    <>
      {!lift.depth_file && <Pick id="depth" label="Depth" of={choices.value?.depths ?? []} value={lift.depth} choose={(depth) => set({ depth: depth as LiftChoice["depth"] })} />}
      <div class="field">
        <span class="label">Depth map</span>
        <span class="row">
          <label class="button grow cut" title="PNG, TIFF, PFM, EXR, NPY or NPZ">
            {lift.depth_file ? lift.depth_name : "File…"}
            <input type="file" accept=".png,.tif,.tiff,.pfm,.exr,.npy,.npz" class="hidden-file" aria-label="Depth map" onChange={withFile((file) => void sendDepth(file))} />
          </label>
          {lift.depth_file && (
            <button type="button" onClick={() => set({ depth_file: null, depth_name: "", depth_kind: "auto" })}>
              None
            </button>
          )}
        </span>
      </div>
      {lift.depth_file && (
        <div class="field">
          <label for="depth-kind">Its numbers</label>
          <select id="depth-kind" value={lift.depth_kind} onChange={(event) => set({ depth_kind: event.currentTarget.value as LiftChoice["depth_kind"] })}>
            <option value="auto">as the file tells</option>
            <option value="metric">metres (16 bits: mm)</option>
            <option value="relative">depths of any scale</option>
            <option value="disparity">disparities of any scale</option>
            <option value="inverse">inverse depths, any scale and shift</option>
          </select>
        </div>
      )}
    </>
  );
}

/** A choice; what is not on this machine says why below. */
function Pick({ id, label, none, of, value, choose }: { id: string; label: string; none?: string; of: Choice[]; value: string; choose: (name: string) => void }) {
  const missing = of.filter((one) => !one.ready);
  return (
    <>
      <div class="field">
        <label for={id}>{label}</label>
        <select id={id} value={value} onChange={(event) => choose(event.currentTarget.value)}>
          {none && <option value="">{none}</option>}
          <ChoiceOptions of={of} />
        </select>
      </div>
      {missing.length > 0 && (
        <details class="missing">
          <summary>{missing.length} not on this machine</summary>
          {missing.map((one) => (
            <p key={one.name}>
              <b>{one.title}</b>: {one.says}
            </p>
          ))}
        </details>
      )}
    </>
  );
}

function Check({ label, checked, set }: { label: string; checked: boolean; set: (on: boolean) => void }) {
  return (
    <label class="row check">
      <input type="checkbox" checked={checked} onChange={(event) => set(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** What does the same on the command line. */
function Shell() {
  const commands = document_.value?.commands ?? [];
  if (!commands.length) return null;
  const copy = () => void navigator.clipboard.writeText(`${commands.join("\n")}\n`).then(() => tell("The commands are copied."));
  return (
    <div class="shell">
      <div class="row">
        <span class="grow dim">The same in the shell</span>
        <button type="button" class="quiet" onClick={copy}>
          Copy
        </button>
      </div>
      <pre>{commands.join("\n")}</pre>
    </div>
  );
}
