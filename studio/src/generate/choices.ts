/** What is chosen about the next generation, and what this machine says of it. */

import { computed, effect, signal } from "@preact/signals";
import { Problem } from "../api.ts";
import { keep } from "../page.ts";
import { document_, guarded, workspace } from "../state.ts";
import type { GenerateRequest, OptionData, OptionValue, VerdictData } from "../types.ts";
import { changed } from "./words.ts";

/** Values that a person chose, by option. */
export const values = keep<Record<string, OptionValue>>("generate", {});
/** Size of the control: "", "full" or "WxH". */
export const size = keep("generateSize", "");
export const takeName = signal("");

/** All options there are; empty before the server has said. */
export const options = signal<OptionData[]>([]);
export const verdict = signal<VerdictData | null>(null);
/** When the verdict was asked for that has not come yet, by `performance.now()`, or null. */
export const askedAt = signal<number | null>(null);
/** Why there is no verdict, or null. */
export const verdictProblem = signal<string | null>(null);

export const valueOf = (option: OptionData): OptionValue => values.value[option.name] ?? option.default;

export function choose(name: string, value: OptionValue): void {
  values.value = { ...values.value, [name]: value };
}

export const request = computed<GenerateRequest>(() => ({
  generate: changed(options.value, values.value),
  size: size.value.trim() || null,
}));

/** What changes nothing about whether a machine can do it, or how long it takes: a verdict costs seconds. */
const INDIFFERENT = new Set(["seed", "upscale", "normal_convention", "compile", "offline"]);

/** Asks for the options once, and for a verdict whenever the choice, or the shot's length, changes while it is shown. */
export function follow(): () => void {
  void guarded(async () => {
    const at = workspace.value;
    if (at && !options.value.length) options.value = await at.options();
  });
  let timer = 0;
  let asked = "";
  const stop = effect(() => {
    const [at, frames] = [workspace.value, document_.value?.motion?.frames];
    const { generate, size: wanted } = request.value;
    const deciding = Object.fromEntries(Object.entries(generate).filter(([name]) => !INDIFFERENT.has(name)));
    const text = JSON.stringify([at?.id, deciding, wanted, frames]);
    if (!at || !options.value.length || text === asked) return;
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      asked = text;
      void ask(text, () => asked);
    }, 500);
  });
  return () => {
    stop();
    clearTimeout(timer);
  };
}

async function ask(text: string, latest: () => string): Promise<void> {
  askedAt.value = performance.now();
  verdictProblem.value = null;
  try {
    const found = await workspace.peek()?.verdict(request.peek());
    if (latest() === text) verdict.value = found ?? null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (latest() === text) verdictProblem.value = error.message;
  } finally {
    if (latest() === text) askedAt.value = null;
  }
}
