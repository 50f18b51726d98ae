/** Says that the horizon is a guess, where it would be missed otherwise, and leads to where it is put right. */

import { document_, place } from "../state.ts";
import { keep } from "../page.ts";
import { Icon } from "../ui/Icon.tsx";
import { beginLens } from "./lens.ts";
import { tool } from "./marks.ts";

/** The guess that a person has seen, and closed. */
const seen = keep<string | null>("horizonSeen", null);

export function HorizonNote() {
  const view = document_.value?.view;
  const scene = document_.value?.scene;
  if (!view?.guess || !scene || seen.value === view.guess) return null;
  const fix = () => {
    place.value = "objects";
    tool.value = "lens";
    void beginLens();
  };
  const said = view.pitch !== null;
  return (
    <div class="horizon-note" role="status" aria-label="Horizon">
      <Icon name="warning" />
      <p>
        {said
          ? "The scene still stands under a horizon that was a guess. Lift again to take what you said."
          : `The horizon is a guess: ${view.guess}. If things lean, sink or slide wrongly, drag lines along what is parallel in the photo, and lift again.`}
      </p>
      {!said && (
        <button type="button" onClick={fix}>
          Drag lines
        </button>
      )}
      <button type="button" class="quiet icon" aria-label="Close the note on the horizon" title="It is good enough" onClick={() => (seen.value = view.guess)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
