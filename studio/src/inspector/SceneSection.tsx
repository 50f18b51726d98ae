import { changeScene } from "../outliner/edits.ts";
import { type Listed, listed } from "../scene.ts";
import { document_ } from "../state.ts";
import { NumberField } from "../ui/NumberField.tsx";

/** What the entity is in the scene: what it stands on, where it faces, its mesh. */
export function SceneSection({ one }: { one: Listed }) {
  const { data } = one;
  const unit = document_.value?.scene?.unit === "metre" ? "m" : "units";
  if (!data) return <p class="section dim">A copy of {one.copyOf}, made by the shot.</p>;
  const sides = data.upper.map((high, axis) => (high - (data.lower[axis] ?? 0)).toFixed(2)).join(" × ");
  return (
    <section class="section" aria-label="Object">
      <h3>Object</h3>
      {data.warning && <p class="error-text object-warning">{data.warning}</p>}
      <div class="field">
        <label for="relation">Stands on</label>
        <RelationChoice one={one} />
      </div>
      <div class="field">
        <span class="label" title="Where its front points: degrees about the upright axis, from its own +Z">
          Front at
        </span>
        <NumberField
          label="Facing"
          value={data.facing ?? 0}
          unit="°"
          digits={1}
          step={15}
          onChange={(degrees) => void changeScene({ facing: { name: one.name, degrees } })}
        />
      </div>
      <div class="field">
        <span class="label">Size</span>
        <span class="number">
          {sides} {unit}
        </span>
      </div>
      <div class="field">
        <span class="label">Mesh</span>
        <span class="number">
          {data.faces.toLocaleString("en")} triangles{data.inPhoto ? "" : ", added"}
        </span>
      </div>
    </section>
  );
}

function RelationChoice({ one }: { one: Listed }) {
  const relation = one.data?.relation;
  const others = listed.value.filter((other) => other.name !== one.name && other.data && !other.removed);
  const now = relation ? `${relation.word} ${relation.to ?? ""}`.trim() : "";
  const change = (value: string) => {
    const [word, ...to] = value.split(" ");
    void changeScene({ relation: { name: one.name, word: word ?? "", to: to.length ? to.join(" ") : null } });
  };
  return (
    <select id="relation" aria-label="Stands on" value={now} onChange={(event) => change(event.currentTarget.value)}>
      {now === "" && <option value="">not known</option>}
      <option value="on ground">the ground</option>
      {others.map(({ name }) => (
        <option key={name} value={`on ${name}`}>
          on {name}
        </option>
      ))}
      {others.map(({ name }) => (
        <option key={name} value={`with ${name}`}>
          belongs to {name}
        </option>
      ))}
      <option value="floating">nothing: it floats</option>
      {now.startsWith("floating ") && <option value={now}>nothing: it floats</option>}
    </select>
  );
}
