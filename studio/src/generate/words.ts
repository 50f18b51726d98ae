/** Numbers and names of generations in words. */

import type { OptionData, OptionValue } from "../types.ts";

const MINUTE = 60;

/** Seconds as a person says them: "8 s", "3 min", "1 h 20 min". */
export function duration(seconds: number): string {
  if (seconds < 100) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 100 * MINUTE) return `${Math.round(seconds / MINUTE)} min`;
  const minutes = Math.round(seconds / MINUTE);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "guided_steps" as a label. */
export const label = (name: string): string => LABELS[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

const LABELS: Record<string, string> = { init: "Start from", lora: "LoRA", gpus: "GPUs", memory: "Memory plan" };

/** What a field's text means for an option; `undefined` where it means nothing. */
export function parsed(option: OptionData, text: string): OptionValue | undefined {
  const plain = text.trim();
  if (plain === "") return option.default;
  if (option.type === "texts") return plain.split(/\s*[,\n]\s*/).filter(Boolean);
  if (option.type !== "integer" && option.type !== "number") return plain;
  const number = Number(plain);
  const whole = option.type === "integer";
  return Number.isFinite(number) && (!whole || Number.isSafeInteger(number)) ? number : undefined;
}

/** A value as its field shows it; nothing where it is the default that is left to the checkpoint. */
export const shown = (value: OptionValue): string => (Array.isArray(value) ? value.join(", ") : value === null ? "" : String(value));

const same = (one: OptionValue, other: OptionValue) => JSON.stringify(one) === JSON.stringify(other);

/** What is not as it would be anyway: what a request says. */
export function changed(options: readonly OptionData[], values: Readonly<Record<string, OptionValue>>): Record<string, OptionValue> {
  return Object.fromEntries(
    options.flatMap((option) => {
      const value = values[option.name];
      return value === undefined || same(value, option.default) ? [] : [[option.name, value]];
    }),
  );
}
