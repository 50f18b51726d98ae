import { useState } from "preact/hooks";
import type { OptionData, OptionValue } from "../types.ts";
import { choose, valueOf, verdict } from "./choices.ts";
import { label, parsed, shown } from "./words.ts";

/** One option of the video model, as its kind wants it. */
export function OptionField({ option }: { option: OptionData }) {
  const id = `option-${option.name}`;
  return (
    <div class="field" title={option.help}>
      <label for={id}>{label(option.name)}</label>
      <Value id={id} option={option} />
    </div>
  );
}

function Value({ id, option }: { id: string; option: OptionData }) {
  const value = valueOf(option);
  if (option.type === "switch") {
    return <input id={id} type="checkbox" checked={value === true} onChange={(event) => choose(option.name, event.currentTarget.checked)} />;
  }
  if (option.type === "choice") {
    return (
      <select id={id} value={shown(value)} onChange={(event) => choose(option.name, event.currentTarget.value || null)}>
        {option.optional && <option value="">Checkpoint's own</option>}
        {option.choices.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    );
  }
  return <Text id={id} option={option} value={value} />;
}

function Text({ id, option, value }: { id: string; option: OptionData; value: OptionValue }) {
  const [wrong, setWrong] = useState(false);
  const names = option.name === "checkpoint" ? (verdict.value?.checkpoints ?? []) : [];
  return (
    <>
      <input
        id={id}
        value={shown(value)}
        placeholder={option.optional ? "Checkpoint's own" : shown(option.default)}
        inputMode={option.type === "integer" || option.type === "number" ? "decimal" : "text"}
        list={names.length ? `${id}-known` : undefined}
        aria-invalid={wrong}
        onChange={(event) => {
          const next = parsed(option, event.currentTarget.value);
          setWrong(next === undefined);
          if (next !== undefined) choose(option.name, next);
        }}
      />
      {names.length > 0 && (
        <datalist id={`${id}-known`}>
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
    </>
  );
}
