/** The shot file's vocabulary, asked from the server once. */

import { computed, signal } from "@preact/signals";
import { call } from "./api.ts";
import type { Sheet } from "./shot/edits.ts";
import type { VocabularyData } from "./shot/vocabulary.ts";
import { guarded, motion } from "./state.ts";

const asked = signal<VocabularyData | null>(null);
let underWay = false;

/** Null until the server has answered. */
export const vocabulary = computed(() => {
  if (!asked.value && !underWay) {
    underWay = true;
    void guarded(() => call<VocabularyData>("vocabulary")).then((found) => {
      asked.value = found;
    });
  }
  return asked.value;
});

/** What edits of the shot need: the vocabulary, and the shot's length and rate. */
export const sheet = computed<Sheet | null>(() => {
  const [words, now] = [vocabulary.value, motion.value];
  return words && now ? { vocabulary: words, clock: { frames: now.frames, fps: now.fps } } : null;
});
