import { useEffect, useState } from "preact/hooks";
import { attempted, document_, frame, playing, view, workspace } from "../state.ts";
import { exact, framesPerSecond, lookThrough } from "./options.ts";

/** Names of the renderer's views; its ids are numbers, which say nothing to the eye. */
const SERVED = { shaded: "shaded", textured: "preview", normals: "normals", ids: null } as const;

const WAIT = 250;

/** The renderer's own frame over the view, when it stands still. */
export function ExactFrame() {
  const [at, now] = [workspace.value, document_.value];
  const still = exact.value && lookThrough.value && !playing.value && !attempted.value && framesPerSecond.value === null;
  const size = now?.scene?.intrinsics;
  const name = SERVED[view.value];
  const wanted = name && still && at && now && size ? at.url(`frame/${now.revision}/${frame.value}.png?view=${name}&size=${size.width}x${size.height}`) : null;
  const [shown, setShown] = useState<string | null>(null);
  useEffect(() => {
    if (!wanted) return setShown(null);
    const timer = setTimeout(() => setShown(wanted), WAIT);
    return () => clearTimeout(timer);
  }, [wanted]);
  if (!wanted || shown !== wanted) return null;
  return <ExactImage key={shown} url={shown} />;
}

function ExactImage({ url }: { url: string }) {
  const [state, setState] = useState<"waits" | "there" | "failed">("waits");
  return (
    <>
      <img class={`exact-image ${state}`} src={url} alt="The renderer's own frame" onLoad={() => setState("there")} onError={() => setState("failed")} />
      <span class="exact-state">{state === "there" ? "exact" : state === "waits" ? "rendering…" : "not rendered"}</span>
    </>
  );
}
