import assert from "node:assert/strict";
import { test } from "node:test";
import { keysOf } from "./registry.ts";

const press = (key: string, held: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}) =>
  keysOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held });

test("a key press is written as shortcuts are", () => {
  assert.equal(press("w"), "w");
  assert.equal(press(" "), "Space");
  assert.equal(press("Z", { ctrlKey: true, shiftKey: true }), "Ctrl+Shift+z");
  assert.equal(press("z", { metaKey: true }), "Ctrl+z");
  assert.equal(press("ArrowLeft", { shiftKey: true }), "Shift+ArrowLeft");
});

test("shift that only makes a sign is not said", () => {
  assert.equal(press("?", { shiftKey: true }), "?");
});
