import { withSpan } from "../shot/edits.ts";
import type { MoveMap } from "../shot/moves.ts";
import { lastFrame } from "../shot/times.ts";
import { spanOf } from "../shot/tracks.ts";
import type { MoveWords } from "../shot/vocabulary.ts";
import { sheet } from "../words.ts";
import { type At, saveMove } from "./edit.ts";

/** First and last frame of a move; its unit stays what it is. */
export function SpanField({ at, move, words }: { at: At; move: MoveMap; words: MoveWords }) {
  const known = sheet.value;
  const span = known && spanOf(move, words, known.clock, known.vocabulary);
  if (!known || !span) return null;
  const last = lastFrame(known.clock);
  const set = (side: "start" | "end", wanted: number) => {
    if (!Number.isFinite(wanted)) return;
    const [low, high] = side === "start" ? [0, span.end - 1] : [span.start + 1, last];
    const to = { ...span, [side]: Math.min(Math.max(wanted, low), high) };
    saveMove(at, `Span of ${words.name}`, (each) => withSpan(each, words, to, known));
  };
  const field = (side: "start" | "end", label: string) => (
    <input type="number" class="number" aria-label={label} min={0} max={last} value={Math.round(span[side] * 100) / 100} onChange={(event) => set(side, event.currentTarget.valueAsNumber)} />
  );
  return (
    <div class="mv-span">
      {field("start", "First frame")}
      <span class="dim">to</span>
      {field("end", "Last frame")}
    </div>
  );
}
