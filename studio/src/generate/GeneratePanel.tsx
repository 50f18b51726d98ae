import { useEffect, useState } from "preact/hooks";
import { document_, guarded, jobs, made, saveShot, workspace } from "../state.ts";
import { askedAt, follow, options, request, size, takeName, verdict, verdictProblem } from "./choices.ts";
import { JobCard } from "./JobCard.tsx";
import { OptionField } from "./OptionField.tsx";
import { duration } from "./words.ts";
import "./GeneratePanel.css";

/** Everything about the video: what makes it, whether this machine can, what is under way. */
export function GeneratePanel() {
  useEffect(follow, []);
  if (!document_.value?.scene) return <p class="empty">Lift the photo's objects first; then the shot can be generated.</p>;
  return (
    <div class="generate">
      <Queue />
      <Choices />
      <Previews />
      <Downloads />
    </div>
  );
}

function Choices() {
  return (
    <section class="section" aria-label="Generate">
      <Prompt />
      {options.value.filter((one) => one.main).map((one) => <OptionField key={one.name} option={one} />)}
      <details>
        <summary>More options</summary>
        {options.value.filter((one) => !one.main).map((one) => <OptionField key={one.name} option={one} />)}
        <div class="field" title="Size of the normals that steer the model: WIDTHxHEIGHT, or full for the official inference's.">
          <label for="option-size">Control size</label>
          <input id="option-size" value={size.value} placeholder="Checkpoint's own" onChange={(event) => (size.value = event.currentTarget.value)} />
        </div>
      </details>
      <div class="field">
        <label for="take-name">Take's name</label>
        <input id="take-name" value={takeName.value} placeholder="Take 1, Take 2, …" maxLength={120} onInput={(event) => (takeName.value = event.currentTarget.value)} />
      </div>
      <Verdict />
      <button type="button" class="primary wide" onClick={(event) => event.detail < 2 && void generate()} title="Queue a take (a double click queues one)">
        {jobs.value.some((job) => job.kind === "generate" && job.state === "running") ? "Queue one more" : "Generate"}
      </button>
    </section>
  );
}

async function generate(): Promise<void> {
  const name = takeName.value.trim() || null;
  const started = await guarded(async () => workspace.value?.start("generate", { ...request.value, name }));
  if (started) takeName.value = "";
}

function Prompt() {
  const keep = (text: string) =>
    void saveShot("prompt", ({ prompt: _, ...shot }) => (text.trim() ? { ...shot, prompt: text.trim() } : shot), "prompt");
  return (
    <>
      <label for="prompt" class="dim">
        What the video shows (for checkpoints that read text)
      </label>
      <textarea id="prompt" class="wide" rows={2} value={document_.value?.shot.prompt ?? ""} onChange={(event) => keep(event.currentTarget.value)} />
    </>
  );
}

function Verdict() {
  const now = verdict.value;
  if (verdictProblem.value) return <p class="verdict error-text">{verdictProblem.value}</p>;
  if (!now) return <Asking />;
  const facts = [
    now.passes !== null && `${now.passes} ${now.passes === 1 ? "pass" : "passes"}`,
    now.seconds !== null && `about ${duration(now.seconds)}, going by the last take`,
  ].filter(Boolean);
  return (
    <div class={`verdict ${askedAt.value === null ? "" : "is-earlier"}`} role="status" aria-label="Verdict" aria-busy={askedAt.value !== null}>
      <p class={now.fits ? "good" : "error-text"}>
        <strong>{now.fits ? "Fits" : "Does not fit"}</strong>: {now.why}
      </p>
      <p class="dim">
        {now.machine}
        {facts.length > 0 && ` · ${facts.join(" · ")}`}
      </p>
      {now.plans.length > 0 && (
        <details>
          <summary>Memory plans</summary>
          <dl>
            {now.plans.map((plan) => (
              <div key={plan.name} title={plan.purpose}>
                <dt>{plan.name}</dt>
                <dd class={plan.refusal ? "dim" : "good"}>{plan.refusal ?? "fits"}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </div>
  );
}

/** How long the question has taken so far: the first one loads what generates, which takes seconds. */
function Asking() {
  const [now, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = askedAt.value === null ? 0 : Math.round((now - askedAt.value) / 1000);
  return (
    <p class="verdict dim">
      Asking this machine; the first time it loads what generates… {seconds > 1 && `${seconds} s`}
      <progress aria-label="Asking this machine" />
    </p>
  );
}

function Queue() {
  const asked = jobs.value.filter((job) => job.kind === "generate");
  if (!asked.length) return null;
  return (
    <section class="section" aria-label="Generations">
      <h3>Generations</h3>
      <ul>
        {asked.map((job) => (
          <JobCard key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}

function Previews() {
  const at = workspace.value;
  const now = made.value;
  if (!at || !now) return null;
  const state = !now.preview ? "There is none yet." : !now.preview.current ? "Of an earlier shot." : now.preview.draft ? "A draft of this shot." : "Of this shot.";
  const active = jobs.value.filter((job) => job.kind === "preview" && job.state !== "done");
  return (
    <section class="section" aria-label="Preview">
      <h3>Preview</h3>
      <label class="row">
        <input
          type="checkbox"
          checked={now.automatic}
          onChange={(event) => {
            const on = event.currentTarget.checked;
            void guarded(async () => {
              made.value = await at.setAutomatic(on);
            });
          }}
        />
        Make previews in the background
      </label>
      <p class="dim">{state}</p>
      {!now.automatic && (
        <button type="button" onClick={() => void guarded(() => at.start("preview", { draft: false }))}>
          Make it now
        </button>
      )}
      <ul>
        {active.map((job) => (
          <JobCard key={job.id} job={job} />
        ))}
      </ul>
    </section>
  );
}

function Downloads() {
  const at = workspace.value;
  const now = made.value;
  const name = document_.value?.name ?? "shot";
  if (!at) return null;
  const files: [string, string, boolean][] = [
    ["generated.mp4", "Video", now?.generated != null],
    ["preview.mp4", "Preview", now?.preview != null],
    ["normals.mp4", "Normals", now?.normals != null],
    ["control.zip", "Control folder", now?.generated != null],
    ["scene.glb", "Scene in motion", true],
    ["shot.yaml", "Shot file", true],
    ["page.html", "Page of the run", now?.preview != null],
  ];
  return (
    <section class="section" aria-label="Downloads">
      <h3>Download</h3>
      <div class="downloads">
        {files.map(([file, title, there]) =>
          there ? (
            <a key={file} href={at.url(`files/${file}`)} download={`${name}-${file}`}>
              {title}
            </a>
          ) : (
            <span key={file} class="dim" title="Not made yet">
              {title}
            </span>
          ),
        )}
      </div>
    </section>
  );
}
