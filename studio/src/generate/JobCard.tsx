import { guarded, workspace } from "../state.ts";
import type { JobData } from "../types.ts";
import { Icon } from "../ui/Icon.tsx";
import { duration } from "./words.ts";

const STATES = { queued: "Waits", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled" };

/** A job: how far it is, what it looks like, what can be done about it. */
export function JobCard({ job }: { job: JobData }) {
  const at = workspace.value;
  if (!at) return null;
  const active = job.state === "queued" || job.state === "running";
  return (
    <li class="job-card" aria-label={job.title}>
      <div class="row">
        <strong class="grow cut">{job.title}</strong>
        <span class={job.state === "failed" ? "error-text" : "dim"}>{STATES[job.state]}</span>
        {(job.state === "failed" || job.state === "cancelled") && (
          <button type="button" title="Go on; what is finished is kept" onClick={() => void guarded(() => at.again(job.id))}>
            Resume
          </button>
        )}
        <button
          type="button"
          class="quiet icon"
          aria-label={active ? `Cancel ${job.title}` : `Dismiss ${job.title}`}
          title={active ? "Cancel" : "Dismiss"}
          onClick={() => void guarded(() => at.cancel(job.id))}
        >
          <Icon name="close" />
        </button>
      </div>
      {job.state === "running" && <Progress job={job} />}
      {job.state === "running" && job.picture > 0 && (
        <img class="job-picture" alt="The video as it stands" src={at.url(`jobs/${job.id}/picture?n=${job.picture}`)} />
      )}
      {job.error && <p class="error-text">{job.error}</p>}
    </li>
  );
}

function Progress({ job }: { job: JobData }) {
  const known = job.total > 0;
  return (
    <>
      <progress aria-label={`Progress of ${job.title}`} {...(known ? { value: job.done, max: job.total } : {})} />
      <p class="dim number">
        {job.step || "Starting"}
        {known && ` ${job.done} of ${job.total}`}
        {job.secondsLeft !== null && job.secondsLeft > 0 && `, about ${duration(job.secondsLeft)} left`}
      </p>
    </>
  );
}
