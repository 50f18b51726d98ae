import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { draftProblem, shot } from "../live.ts";
import { headOf, KEYS_KIND, keysOf, mainText, type MoveMap, movesOf, writtenSetting } from "../shot/moves.ts";
import { type MoveWords, roomOf, type SettingWords, type VocabularyData } from "../shot/vocabulary.ts";
import { document_, frame, motion } from "../state.ts";
import { saveMoves } from "../inspector/saving.ts";
import { moveLine } from "../shot/line.ts";
import { Icon } from "../ui/Icon.tsx";
import { vocabulary } from "../words.ts";
import { addMove, type At, keepTried, saveMove, saveValue, tryValue } from "./edit.ts";
import { ValueField } from "./fields.tsx";
import { LineField, NewMove } from "./lines.tsx";
import "./moves.css";
import { SpanField } from "./SpanField.tsx";
import { addable, type Around, startOf } from "./starts.ts";

/** All moves of a target ("" is the camera) with sliders, and a menu that adds more. */
export function MoveList({ target }: { target: string }) {
  const words = vocabulary.value;
  if (!words) return null;
  const moves = movesOf(shot.value, target, words);
  return (
    <section class="section mv" aria-label="Moves">
      <h3>
        Moves <AddMenu target={target} vocabulary={words} />
      </h3>
      {adding.value === target && <Choices target={target} vocabulary={words} />}
      {moves.length === 0 && <p class="dim">{target === "" ? "The camera rests where the photo was taken." : "It rests as in the photo."}</p>}
      {moves.map((move, index) => (
        <MoveEditor key={`${target} ${index}`} at={{ target, index, vocabulary: words }} move={move} />
      ))}
      <NewMove target={target} names={words[roomOf(target)].map((move) => move.name)} />
      {draftProblem.value && <p class="error-text" role="alert">{draftProblem.value}</p>}
    </section>
  );
}

/** Whose menu of moves is open. */
const adding = signal<string | null>(null);

function AddMenu({ target }: { target: string; vocabulary: VocabularyData }) {
  const open = adding.value === target;
  return (
    <button type="button" class="quiet mv-add" aria-expanded={open} onClick={() => (adding.value = open ? null : target)}>
      <Icon name={open ? "minus" : "plus"} /> Add a move
    </button>
  );
}

function Choices({ target, vocabulary }: { target: string; vocabulary: VocabularyData }) {
  const around = surroundings(target, vocabulary);
  return (
    <div class="mv-choices" role="group" aria-label="Moves to add">
      {vocabulary[roomOf(target)].filter((move) => addable(move, around)).map((move) => (
        <button type="button" key={move.name} title={move.help} onClick={() => {
          adding.value = null;
          addMove(target, startOf(move, around), vocabulary);
        }}>
          {move.name}
        </button>
      ))}
    </div>
  );
}

function surroundings(target: string, vocabulary: VocabularyData): Around {
  const entities = document_.value?.scene?.entities ?? [];
  return {
    target,
    names: entities.map((entity) => entity.name),
    joints: entities.find((entity) => entity.name === target)?.joints ?? [],
    frame: frame.value,
    last: (motion.value?.frames ?? 1) - 1,
    vocabulary,
  };
}

/** One move: its value and every setting, each as what it is; or its line of text. */
export function MoveEditor({ at, move }: { at: At; move: MoveMap }) {
  const [asText, setAsText] = useState(false);
  const head = headOf(move, roomOf(at.target), at.vocabulary);
  if (!head) return null;
  const { move: words } = head;
  const saveLine = (text: string) =>
    saveMoves(`Change ${words.name}`, at.target, (moves) => moves.map((other, index) => (index === at.index ? text : other)));
  return (
    <article class="mv-move" aria-label={words.name}>
      <header title={words.help}>
        <b>{words.name}</b>
        <span class="grow" />
        <button type="button" class="quiet mv-words" aria-pressed={asText} title="The move in the words of a shot file" onClick={() => setAsText(!asText)}>
          text
        </button>
        <button type="button" class="icon quiet" aria-label={`Remove ${words.name}`} title="Remove" onClick={() => saveMove(at, `Remove ${words.name}`, () => null)}>
          <Icon name="trash" />
        </button>
      </header>
      {asText ? (
        <LineField label={`Move ${at.index + 1}`} line={moveLine(move)} hint={words.help} save={saveLine} />
      ) : (
        inOrder(words).map((item) => <Line key={item.name} at={at} move={move} words={words} item={item} />)
      )}
    </article>
  );
}

/** The value first, then settings, then when it happens. */
function inOrder(words: MoveWords): SettingWords[] {
  const rank = (item: SettingWords) => (item.kind === "a span of time" ? 2 : item.kind === "an easing" ? 3 : item.main ? 0 : 1);
  return [...words.settings].sort((a, b) => rank(a) - rank(b));
}

/** Kinds whose controls need the width of the panel. */
const WIDE = ["a displacement", "a joint and an angle"];

function Line({ at, move, words, item }: { at: At; move: MoveMap; words: MoveWords; item: SettingWords }) {
  const label = item.kind === "a span of time" ? "frames" : item.name;
  return (
    <div class={`field mv-field ${WIDE.includes(item.kind) ? "is-wide" : ""}`}>
      <span class="label">{label}</span>
      <Value at={at} move={move} words={words} item={item} />
    </div>
  );
}

function Value({ at, move, words, item }: { at: At; move: MoveMap; words: MoveWords; item: SettingWords }) {
  const room = roomOf(at.target);
  if (item.kind === "a span of time") return <SpanField at={at} move={move} words={words} />;
  if (item.kind === KEYS_KIND) return <span class="dim">{keysOf(move, room, at.vocabulary)?.length ?? 0}, in the timeline</span>;
  const written = item.main ? mainText(move, room, at.vocabulary) : (writtenSetting(move, item)?.text ?? "");
  if (words.readsFile && item.main) return <span class="cut">{written}</span>;
  const say = `${words.name} ${item.main ? "" : item.name}`.trim();
  return (
    <ValueField
      item={item}
      text={written || (item.default ?? "")}
      target={at.target}
      vocabulary={at.vocabulary}
      onTry={(text) => tryValue(at, item, text)}
      onKeep={(text) => saveValue(at, say, item, text)}
      onRelease={() => void keepTried(say)}
    />
  );
}
