import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShotData } from "../types.ts";
import { curveText, eased, easingCurve } from "./easings.ts";
import { copied, deleted, easedBy, moved, pasted, type Sheet, spanSet, stretched, withLength } from "./edits.ts";
import { keysOf, mainText, movesOf, withMain } from "./moves.ts";
import { readSigned } from "./quantities.ts";
import { movedSpan, movedTime, spanFrames, timeFrame } from "./times.ts";
import { rowsOf } from "./tracks.ts";
import type { VocabularyData } from "./vocabulary.ts";
import data from "./vocabulary.json" with { type: "json" };

const vocabulary = data as unknown as VocabularyData;
const clock = { frames: 49, fps: 16 };
const sheet: Sheet = { vocabulary, clock };
const key = (target: string, move: number, index: number | null) => ({ target, move, key: index });

test("times in all units are the frames that units.py says", () => {
  const frames: [string, number][] = [
    ["10", 10], ["frame 10", 10], ["10 frames", 10], ["1.5 s", 24], ["500 ms", 8], ["50%", 24], ["100 percent", 48],
  ];
  for (const [text, frame] of frames) assert.equal(timeFrame(text, clock, vocabulary), frame, text);
  assert.equal(timeFrame("soon", clock, vocabulary), null);
});

test("a time keeps its unit when it moves", () => {
  const to = (text: string, frame: number) => movedTime(text, frame, clock, vocabulary);
  assert.equal(to("20 frames", 24), "24 frames");
  assert.equal(to("frame 20", 24), "frame 24");
  assert.equal(to("1.5 s", 32), "2 s");
  assert.equal(to("250 ms", 8), "500 ms");
  assert.equal(to("100%", 24), "50%");
  const odd = movedTime("1 s", 48, { frames: 49, fps: 7 }, vocabulary);
  assert.ok(Math.abs((timeFrame(odd, { frames: 49, fps: 7 }, vocabulary) as number) - 48) < 1e-4);
  assert.ok((timeFrame(odd, { frames: 49, fps: 7 }, vocabulary) as number) <= 48 + 1e-9);
});

test("spans in all spellings", () => {
  const spans: [string, number, number][] = [
    ["frames 10-40", 10, 40], ["frames 10-", 10, 48], ["frames 40", 0, 40], ["0.5-2 s", 8, 32], ["10%-50%", 4.8, 24],
    ["1 s to 2 s", 16, 32], ["2 s", 0, 32], ["10 frames - 40 frames", 10, 40], ["- 40 frames", 0, 40], ["", 0, 48], ["seconds 1-2.5", 16, 40],
  ];
  for (const [text, start, end] of spans) {
    const found = spanFrames(text, clock, vocabulary);
    assert.ok(found && Math.abs(found.start - start) < 1e-9 && Math.abs(found.end - end) < 1e-9, `${text}: ${JSON.stringify(found)}`);
  }
});

test("a moved span reads back as where it was moved to, in its own words", () => {
  const to = { start: 16, end: 32 };
  const texts: [string, string][] = [
    ["frames 10-40", "frames 16-32"], ["0.5-2 s", "1-2 s"], ["10 frames - 40 frames", "16 frames - 32 frames"],
    ["1 s to 2 s", "1 s to 2 s"], ["25%-50%", "33.3333%-66.6667%"], ["", "frames 16-32"], ["frames 10-", "frames 16-32"],
    ["10 frames -", "16 frames -32 frames"],
  ];
  for (const [text, expected] of texts) {
    assert.equal(movedSpan(text, to, clock, vocabulary), expected, text);
    const back = spanFrames(expected, clock, vocabulary);
    assert.ok(back && Math.abs(back.start - 16) < 1e-3 && Math.abs(back.end - 32) < 1e-3, expected);
  }
  for (const text of ["40 frames", "2 s", "frames 40", "- 40 frames", "80%"]) {
    const back = spanFrames(movedSpan(text, to, clock, vocabulary), clock, vocabulary);
    assert.ok(back && Math.abs(back.start - 16) < 1e-3 && Math.abs(back.end - 32) < 1e-3, `${text} → ${movedSpan(text, to, clock, vocabulary)}`);
  }
  assert.equal(movedSpan("frames 10-", { start: 12, end: 48 }, clock, vocabulary), "frames 12-");
  assert.equal(movedSpan("frames 10-40", { start: 0, end: 48 }, clock, vocabulary), "frames 0-48");
});

test("both spellings of a move are the same mapping", () => {
  const shot: ShotData = {
    camera: ["orbit 30 deg around 'old car' frames 10-40 ease-in; dolly in 25%", { pan: "left 5 deg" }],
    entities: { car: ["forward 150% frames 0-30, turn left 40deg"], man: ["remove"] },
  };
  assert.deepEqual(movesOf(shot, "", vocabulary), [
    { orbit: "30 deg", around: "'old car'", frames: "10-40", easing: "ease-in" },
    { dolly: "in 25%" },
    { pan: "left 5 deg" },
  ]);
  assert.deepEqual(movesOf(shot, "car", vocabulary), [{ forward: "150%", frames: "0-30" }, { turn: "left 40deg" }]);
  assert.deepEqual(movesOf(shot, "man", vocabulary), [{ remove: null }]);
});

test("keyframes in one line become keys", () => {
  const shot: ShotData = { camera: ["keyframes (frame 20 by (0.5, 0, 1) pan -5deg; at 100% look-at car easing bezier (0.2, 0, 0.4, 1))"] };
  const [move] = movesOf(shot, "", vocabulary);
  assert.deepEqual(move && keysOf(move, "camera", vocabulary), [
    { frame: "20", by: "(0.5, 0, 1)", pan: "-5deg" },
    { at: "100%", "look-at": "car", easing: "bezier (0.2, 0, 0.4, 1)" },
  ]);
});

const keyed = (): ShotData => ({
  frames: 49,
  prompt: "A car.",
  camera: [{ orbit: "30 deg", around: "car", span: "10 frames - 40 frames" }],
  entities: {
    car: [
      { keyframes: [{ frame: 12, by: "(1, 0, 0)", turn: "15 deg" }, { at: "50%", by: "(2, 0, 0)" }, { time: "2.5 s", scale: "80%" }] },
      { turn: "10 deg", seconds: "1-2" },
    ],
  },
});

test("rows show keys in the order of time, with the photo's own pose first", () => {
  const rows = rowsOf(keyed(), "car", clock, vocabulary);
  assert.deepEqual(rows[0]?.keys?.map(({ key, frame }) => [key, frame]), [[-1, 0], [0, 12], [1, 24], [2, 40]]);
  assert.deepEqual(rows[1]?.span, { start: 16, end: 32 });
  assert.equal(rowsOf(keyed(), "", clock, vocabulary)[0]?.easing, "ease");
});

test("moved keys keep their units and their other words", () => {
  const before = keyed();
  const { shot, refs } = moved(before, [key("car", 0, 0), key("car", 0, 1), key("car", 0, 2)], 4, sheet);
  const [move] = movesOf(shot, "car", vocabulary);
  assert.deepEqual(move?.["keyframes"], [
    { frame: "16", by: "(1, 0, 0)", turn: "15 deg" }, { at: "58.3333%", by: "(2, 0, 0)" }, { time: "2.75 s", scale: "80%" },
  ]);
  assert.equal(refs.length, 3);
  assert.deepEqual(before, keyed());
  assert.equal(shot.prompt, "A car.");
});

test("a group stops at the end of the shot, and keys that it falls on are replaced", () => {
  const far = moved(keyed(), [key("car", 0, 1), key("car", 0, 2)], 100, sheet);
  assert.deepEqual(rowsOf(far.shot, "car", clock, vocabulary)[0]?.keys?.map((each) => Math.round(each.frame)), [0, 12, 32, 48]);
  const onto = moved(keyed(), [key("car", 0, 0)], 12, sheet);
  assert.deepEqual(rowsOf(onto.shot, "car", clock, vocabulary)[0]?.keys?.map((each) => each.frame), [0, 24, 40]);
  assert.deepEqual(onto.refs, [key("car", 0, 0)]);
});

test("bars move and their ends are dragged", () => {
  const bar = moved(keyed(), [key("", 0, null)], -5, sheet).shot;
  assert.deepEqual(bar.camera, [{ orbit: "30 deg", around: "car", span: "5 frames - 35 frames" }]);
  assert.deepEqual(spanSet(keyed(), key("car", 1, null), { start: 16, end: 40 }, sheet).entities?.["car"]?.[1], { turn: "10 deg", seconds: "1-2.5" });
  assert.deepEqual(spanSet({ camera: ["static", { pan: "5 deg" }] }, key("", 1, null), { start: 0, end: 20 }, sheet).camera, [
    "static", { pan: "5 deg", span: "frames 20" },
  ]);
});

test("deleting the last key takes the move away, and the last move its entity", () => {
  const one: ShotData = { entities: { car: [{ keyframes: [{ frame: 3 }] }] } };
  assert.deepEqual(deleted(one, [key("car", 0, 0)], sheet), { entities: {} });
  const shot = deleted(keyed(), [key("car", 0, 1), key("", 0, null)], sheet);
  assert.deepEqual(shot.camera, []);
  assert.deepEqual(rowsOf(shot, "car", clock, vocabulary)[0]?.keys?.map((each) => each.frame), [0, 12, 40]);
});

test("easing of keys, of moves, and of the way from the photo", () => {
  const shot = easedBy(keyed(), [key("car", 0, -1), key("car", 0, 1), key("", 0, null)], "linear", sheet);
  const [move] = movesOf(shot, "car", vocabulary);
  const keys = (move && keysOf(move, "entity", vocabulary)) ?? [];
  assert.deepEqual(keys[0], { time: "0 frames", easing: "linear" });
  assert.deepEqual(keys[2], { at: "50%", by: "(2, 0, 0)", easing: "linear" });
  assert.deepEqual(shot.camera, [{ orbit: "30 deg", around: "car", span: "10 frames - 40 frames", easing: "linear" }]);
});

test("keys are pasted at the playhead, onto another entity, replacing what stands there", () => {
  const clip = copied(keyed(), [key("car", 0, 0), key("car", 0, 1)], sheet);
  const { shot, refs, left } = pasted(keyed(), clip, 30, "man", sheet);
  assert.equal(left, 0);
  assert.deepEqual(rowsOf(shot, "man", clock, vocabulary)[0]?.keys?.map((each) => Math.round(each.frame)), [0, 30, 42]);
  assert.deepEqual(refs, [key("man", 0, 0), key("man", 0, 1)]);
  const again = pasted(keyed(), clip, 40, "car", sheet);
  assert.equal(again.left, 1);
  assert.deepEqual(rowsOf(again.shot, "car", clock, vocabulary)[0]?.keys?.map((each) => Math.round(each.frame)), [0, 12, 24, 40]);
});

test("a pasted bar is a move of its own", () => {
  const clip = copied(keyed(), [key("car", 1, null)], sheet);
  const { shot } = pasted(keyed(), clip, 32, "car", sheet);
  assert.deepEqual(shot.entities?.["car"]?.[2], { turn: "10 deg", seconds: "2-3" });
});

test("stretching about a frame", () => {
  const { shot } = stretched(keyed(), [key("car", 0, 0), key("car", 0, 1)], 12, 2, sheet);
  assert.deepEqual(rowsOf(shot, "car", clock, vocabulary)[0]?.keys?.map((each) => Math.round(each.frame)), [0, 12, 36, 40]);
});

test("a new length stretches frames and seconds, and leaves percent and open ends", () => {
  const shot: ShotData = { ...keyed(), camera: [{ pan: "3 deg" }, { tilt: "2 deg", frames: "24-" }, { orbit: "30 deg", span: "25%-50%" }] };
  const longer = withLength(shot, 97, true, sheet);
  assert.equal(longer.frames, 97);
  assert.deepEqual(longer.camera, [{ pan: "3 deg" }, { tilt: "2 deg", frames: "48-" }, { orbit: "30 deg", span: "25%-50%" }]);
  assert.deepEqual(movesOf(longer, "car", vocabulary)[0]?.["keyframes"], [
    { frame: "24", by: "(1, 0, 0)", turn: "15 deg" }, { at: "50%", by: "(2, 0, 0)" }, { time: "5 s", scale: "80%" },
  ]);
  assert.deepEqual(withLength(shot, 97, false, sheet), { ...shot, frames: 97 });
});

test("main values: directions, signs", () => {
  const move = { forward: "2 units", up: "1", span: "10-20" };
  assert.equal(mainText(move, "entity", vocabulary), "forward 2 units, up 1");
  assert.deepEqual(withMain(move, "left 3 units", "entity", vocabulary), { left: "3 units", span: "10-20" });
  assert.deepEqual(withMain(move, "left 3, up 2", "entity", vocabulary), { move: "left 3, up 2", span: "10-20" });
  assert.deepEqual(readSigned("left 10 deg", { left: -1, right: 1 }), { number: -10, gap: " ", unit: "deg" });
});

test("named easings are the curves of timing.py", () => {
  const formulas: Record<string, (f: number) => number> = {
    linear: (f) => f, ease: (f) => f * f * (3 - 2 * f), "ease-in": (f) => f * f, "ease-out": (f) => f * (2 - f), hold: Math.floor,
  };
  for (const [name, formula] of Object.entries(formulas)) {
    for (let f = 0; f <= 1; f += 0.05) assert.ok(Math.abs(eased(f, name) - formula(f)) < 1e-6, `${name} at ${f}`);
    const curve = easingCurve(name);
    if (curve) assert.equal(curveText(curve), name);
  }
  assert.equal(curveText([0.2, 0, 0.4, 1]), "bezier (0.2, 0, 0.4, 1)");
  assert.deepEqual(easingCurve("bezier (0.2, 0, 0.4, 1.2)"), [0.2, 0, 0.4, 1.2]);
});
