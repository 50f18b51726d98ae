/** What is said of the chosen object. */

import { document_ } from "../state.ts";
import type { MaskObject } from "../types.ts";
import { ChoiceOptions, withFile } from "./Choices.tsx";
import { choices, chosen, mark, sendMesh } from "./marks.ts";

export function ObjectPanel() {
  const object = chosen.value;
  if (!object) return null;
  return (
    <section class="section" aria-label={`Object ${object.name}`} key={object.id}>
      <h3>Chosen object</h3>
      <Name object={object} />
      <p class="dim facts">{facts(object)}</p>
      <label class="row check">
        <input type="checkbox" checked={object.occluder} onChange={(event) => void mark("…", { say: { id: object.id, occluder: event.currentTarget.checked } })} />
        Only hides a part of others
      </label>
      {!object.occluder && (
        <>
          <OwnMesh object={object} />
          <OwnLifter object={object} />
          <Belongs object={object} />
        </>
      )}
    </section>
  );
}

const HOW: Record<MaskObject["source"], string> = {
  box: "from a box",
  points: "from points",
  text: "found by its word",
  proposed: "proposed",
  brush: "painted",
  file: "from a file",
};

function facts(object: MaskObject): string {
  const share = `${(100 * object.area).toFixed(1)} % of the photo`;
  const how = object.painted && object.source !== "brush" && object.source !== "file" ? `${HOW[object.source]}, painted on` : HOW[object.source];
  const kind = object.kind ? `lifted as: ${object.kind}` : "its name does not say what it is";
  return object.occluder ? `${how}, ${share}` : `${how}, ${share}; ${kind}`;
}

function Name({ object }: { object: MaskObject }) {
  const rename = (input: HTMLInputElement) => {
    const name = input.value.trim();
    if (name === object.name) return;
    void mark("Renaming…", { say: { id: object.id, name } }).then((found) => {
      if (!found) input.value = object.name;
    });
  };
  return (
    <div class="field">
      <label for="object-name">Name</label>
      <input
        id="object-name"
        key={object.name}
        defaultValue={object.name}
        spellcheck={false}
        onBlur={(event) => rename(event.currentTarget)}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
          if (event.key === "Escape") {
            event.currentTarget.value = object.name;
            event.currentTarget.blur();
          }
        }}
      />
    </div>
  );
}

function OwnMesh({ object }: { object: MaskObject }) {
  return (
    <div class="field">
      <span class="label">Own mesh</span>
      <span class="row">
        <label class="button grow cut" title="GLB, OBJ, PLY or STL; it can also be dropped on the photo">
          {object.mesh ?? "File…"}
          <input type="file" accept=".glb,.obj,.ply,.stl" class="hidden-file" aria-label={`Mesh for ${object.name}`} onChange={withFile((file) => void sendMesh(file, object.id))} />
        </label>
        {object.mesh && (
          <button type="button" onClick={() => void mark("…", { say: { id: object.id, mesh: "none" } })}>
            None
          </button>
        )}
      </span>
    </div>
  );
}

function OwnLifter({ object }: { object: MaskObject }) {
  const lifters = choices.value?.lifters ?? [];
  return (
    <div class="field">
      <label for="object-lifter">Lifter</label>
      <select id="object-lifter" disabled={object.mesh !== null} value={object.lifter ?? ""} onChange={(event) => void mark("…", { say: { id: object.id, lifter: event.currentTarget.value } })}>
        <option value="">As for all</option>
        <ChoiceOptions of={lifters} />
      </select>
    </div>
  );
}

/** What it stands on, belongs to, or floats over. */
function Belongs({ object }: { object: MaskObject }) {
  const others = (document_.value?.objects ?? []).filter((each) => each.id !== object.id && !each.occluder);
  const said = object.relation;
  const value = said ? `${said.word} ${said.to ?? ""}` : "";
  const choose = (text: string) => {
    const [word, ...to] = text.split(" ");
    const relation = text ? { word: word as "on" | "with" | "floating", to: to.join(" ") || null } : "none";
    void mark("…", { say: { id: object.id, relation } });
  };
  return (
    <div class="field">
      <label for="object-relation">Stands</label>
      <select id="object-relation" value={value} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">as the photo tells</option>
        <option value="on ground">on the ground</option>
        {others.map((other) => (
          <option key={`on ${other.id}`} value={`on ${other.name}`}>
            on {other.name}
          </option>
        ))}
        {others.map((other) => (
          <option key={`with ${other.id}`} value={`with ${other.name}`}>
            with {other.name}, moving with it
          </option>
        ))}
        <option value="floating ">on nothing: it floats</option>
        {others.map((other) => (
          <option key={`floating ${other.id}`} value={`floating ${other.name}`}>
            floating, as far away as {other.name}
          </option>
        ))}
      </select>
    </div>
  );
}
