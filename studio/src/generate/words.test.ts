import assert from "node:assert/strict";
import { test } from "node:test";
import type { OptionData } from "../types.ts";
import { changed, duration, label, parsed, shown } from "./words.ts";

const option = (name: string, type: OptionData["type"], byDefault: OptionData["default"] = null): OptionData => ({
  name,
  type,
  main: true,
  help: "",
  default: byDefault,
  optional: byDefault === null,
  choices: [],
});

test("durations are told as people tell them", () => {
  assert.deepEqual([0.2, 42, 100, 3600, 6600].map(duration), ["1 s", "42 s", "2 min", "60 min", "1 h 50 min"]);
});

test("a field's text is a value of its option's type, or nothing", () => {
  assert.equal(parsed(option("steps", "integer"), " 12 "), 12);
  assert.equal(parsed(option("steps", "integer"), "1.5"), undefined);
  assert.equal(parsed(option("steps", "integer"), "many"), undefined);
  assert.equal(parsed(option("guidance", "number"), "4.5"), 4.5);
  assert.equal(parsed(option("steps", "integer"), ""), null);
  assert.equal(parsed(option("seed", "integer", 0), ""), 0);
  assert.deepEqual(parsed(option("lora", "texts", []), "a.safetensors=0.8, b"), ["a.safetensors=0.8", "b"]);
  assert.equal(shown(["a", "b"]), "a, b");
  assert.equal(shown(null), "");
});

test("a request says what is not as it would be anyway", () => {
  const options = [option("checkpoint", "text", "mini"), option("steps", "integer"), option("lora", "texts", [])];
  assert.deepEqual(changed(options, { checkpoint: "mini", steps: 4, lora: [], unheard: 1 }), { steps: 4 });
});

test("options have names for people", () => {
  assert.equal(label("guided_steps"), "Guided steps");
  assert.equal(label("init"), "Start from");
});
