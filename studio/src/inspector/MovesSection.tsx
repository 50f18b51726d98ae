import { useEffect, useRef, useState } from "preact/hooks";
import { shot } from "../live.ts";
import type { Listed } from "../scene.ts";
import { moveLine } from "../shot/line.ts";
import { headOf, type MoveMap, movesOf } from "../shot/moves.ts";
import { Icon } from "../ui/Icon.tsx";
import { vocabulary } from "../words.ts";
import { saveMoves } from "./saving.ts";

/** First words for a new move, to be changed at once. */
const STARTS = [
  "forward 1 units", "turn right 45 deg", "up 1 units", "scale 1.2x", "tumble forward 1 turn", "roll right 15 deg", "follow ((1, 0, 0), (2, 0, -1))",
  "hide frames 0-8", "facing left",
]; // prettier-ignore

/** The entity's moves, each a line in the shot's own words. */
export function MovesSection({ one }: { one: Listed }) {
  const words = vocabulary.value;
  if (!words) return null;
  const moves = movesOf(shot.value, one.name, words);
  return (
    <section class="section" aria-label="Moves">
      <h3>Moves</h3>
      {moves.length === 0 && <p class="dim move-empty">It rests where the photo shows it. Drag it in the view, or add a move.</p>}
      <ol class="moves">
        {moves.map((move, index) => (
          <MoveRow key={`${one.name} ${index}`} one={one} move={move} index={index} help={headOf(move, "entity", words)?.move.help ?? ""} />
        ))}
      </ol>
      <NewMove one={one} />
    </section>
  );
}

function MoveRow({ one, move, index, help }: { one: Listed; move: MoveMap; index: number; help: string }) {
  const line = moveLine(move);
  const save = (text: string) =>
    saveMoves(`Change ${Object.keys(move)[0] ?? "move"} of ${one.name}`, one.name, (moves) => moves.map((other, at) => (at === index ? text : other)));
  const drop = () => void saveMoves(`Delete ${Object.keys(move)[0] ?? "move"} of ${one.name}`, one.name, (moves) => moves.filter((_, at) => at !== index));
  return (
    <li class="move-row">
      <LineField label={`Move ${index + 1}`} line={line} hint={help} save={save} />
      <button type="button" class="quiet icon" aria-label={`Delete move ${index + 1}`} title="Delete this move" onClick={drop}>
        <Icon name="close" />
      </button>
    </li>
  );
}

/** A line of text that grows with what is in it; what the server says against it stands below. */
function LineField({ label, line, hint, save }: { label: string; line: string; hint: string; save: (text: string) => Promise<string | null> }) {
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

function NewMove({ one }: { one: Listed }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const add = async (line: string) => {
    if (!line.trim()) return;
    const refused = await saveMoves(`Add ${line.trim().split(" ")[0]} to ${one.name}`, one.name, (moves) => [...moves, line.trim()]);
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
        placeholder="Add a move, such as forward 1 units"
        value={text}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <datalist id="move-starts">
        {STARTS.map((line) => (
          <option key={line} value={line} />
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
