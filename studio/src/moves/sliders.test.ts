import assert from "node:assert/strict";
import { test } from "node:test";
import type { SettingWords, VocabularyData } from "../shot/vocabulary.ts";
import data from "../shot/vocabulary.json" with { type: "json" };
import { fromSlider, rangeOf, readSlid, slidText, toSlider } from "./sliders.ts";

const vocabulary = data as unknown as VocabularyData;
const setting = (move: string, name: string) =>
  vocabulary.camera.find((each) => each.name === move)?.settings.find((each) => each.name === name) as SettingWords;

test("written values are read with sign and unit", () => {
  assert.deepEqual(readSlid("left 30 deg", setting("orbit", "angle")), { number: -30, unit: "deg" });
  assert.deepEqual(readSlid("30", setting("orbit", "angle")), { number: 30, unit: "deg" });
  assert.deepEqual(readSlid("out 2x", setting("zoom", "end")), { number: 0.5, unit: "x" });
  assert.deepEqual(readSlid("to 35 mm", setting("zoom", "end")), { number: 35, unit: "mm" });
  assert.deepEqual(readSlid("in 25%", setting("dolly", "distance")), { number: 25, unit: "%" });
  assert.equal(slidText({ number: 35, unit: "mm" }), "35 mm");
  assert.equal(slidText({ number: 25, unit: "%" }), "25%");
});

test("sliders give back what they show, and reach every value", () => {
  for (const [move, name, text] of [["orbit", "angle", "30 deg"], ["spiral", "radius", "60%"], ["zoom", "end", "35 mm"], ["handheld", "rotation", "0.4 deg"], ["orbit", "angle", "5 turns"]] as const) {
    const item = setting(move, name);
    const slid = readSlid(text, item);
    assert.ok(slid);
    const range = rangeOf(item, slid, vocabulary);
    assert.ok(range.low <= slid.number && slid.number <= range.high, text);
    const back = fromSlider(toSlider(slid.number, range), range);
    assert.ok(Math.abs(back - slid.number) <= range.step + 1e-6, `${text}: ${back}`);
  }
});
