/** Moves as lines of text, in the shot's own words. */

import { useEffect, useRef, useState } from "preact/hooks";
import { saveMoves } from "../inspector/saving.ts";
import { Icon } from "../ui/Icon.tsx";

/** A line of text that grows with what is in it; what the server says against it stands below. */
export function LineField({ label, line, hint, save }: { label: string; line: string; hint: string; save: (text: string) => Promise<string | null> }) {
  const [text, setText] = useState(line);
  const [problem, setProblem] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    setText(line);
    setProblem(null);
  }, [line]);
  useEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = "0";
    area.style.height = `${area.scrollHeight + 2}px`;
  }, [text]);
  const finish = async () => {
    if (text.trim() === line) return setProblem(null);
    if (text.trim()) setProblem(await save(text.trim()));
    else setText(line);
  };
  return (
    <div class="grow">
      <textarea
        ref={field}
        rows={1}
        class="move-line"
        aria-label={label}
        aria-invalid={problem !== null}
        title={hint}
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onBlur={() => void finish()}
        onKeyDown={(event) => {
          if (event.key === "Escape") setText(line);
          if (event.key !== "Enter") return;
          event.preventDefault();
          void finish();
        }}
      />
      {problem && (
        <p class="error-text move-problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

/** A move is typed in the shot's own words. */
export function NewMove({ target, names }: { target: string; names: string[] }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const add = async (line: string) => {
    if (!line.trim()) return;
    const refused = await saveMoves(`Add ${line.trim().split(" ")[0]}`, target, (moves) => [...moves, line.trim()]);
    setProblem(refused);
    if (refused === null) setText("");
  };
  return (
    <form
      class="new-move"
      onSubmit={(event) => {
        event.preventDefault();
        void add(text);
      }}
    >
      <input
        type="text"
        list="move-starts"
        aria-label="New move"
        aria-invalid={problem !== null}
        placeholder={target === "" ? "or type one, such as pan left 5 deg" : "or type one, such as forward 1 units"}
        value={text}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <datalist id="move-starts">
        {names.map((name) => (
          <option key={name} value={`${name} `} />
        ))}
      </datalist>
      <button type="submit" class="icon" aria-label="Add the move" title="Add the move (Enter)" disabled={!text.trim()}>
        <Icon name="plus" />
      </button>
      {problem && (
        <p class="error-text move-problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
