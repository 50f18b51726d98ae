import { MoveList } from "../moves/MoveEditor.tsx";
import { colorOf, listed } from "../scene.ts";
import { document_, motion, selected } from "../state.ts";
import { JointsSection } from "./JointsSection.tsx";
import { PoseSection } from "./PoseSection.tsx";
import { SceneSection } from "./SceneSection.tsx";
import { ShotSection } from "./ShotSection.tsx";
import "./Inspector.css";

/** What is selected, as numbers and words; with nothing selected, the shot as a whole. The camera has a panel of its own. */
export function Inspector() {
  const name = selected.value;
  if (name === "") return null;
  const one = name === null ? undefined : listed.value.find((each) => each.name === name);
  if (!one || one.removed) {
    return (
      <>
        <ShotSection />
        <Notes />
      </>
    );
  }
  return (
    <>
      <h2 class="inspector-name">
        <span class="outliner-dot" style={{ background: colorOf(one.name) }} />
        <span class="cut">{one.name}</span>
      </h2>
      <PoseSection one={one} />
      <MoveList target={one.name} />
      <JointsSection one={one} />
      <SceneSection one={one} />
    </>
  );
}

/** What the shot and the scene have to say about themselves. */
function Notes() {
  const notes = [...(document_.value?.notes ?? []), ...(motion.value?.notes ?? [])];
  if (!notes.length) return null;
  return (
    <section class="section" aria-label="Notes">
      <h3>Notes</h3>
      <ul class="notes">
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </section>
  );
}
