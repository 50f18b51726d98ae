/** Keys of the timeline; they are listed on the sheet. */

import { shortcut } from "../shortcuts/registry.ts";
import type { Ref } from "../shot/tracks.ts";
import { frame, motion, place, playing } from "../state.ts";
import { curvesOpen } from "./curves.ts";
import { copyPicked, deletePicked, keyNow, neighbour, pasteAtPlayhead, pick, picked, rows } from "./picking.ts";
import { goTo, loop, setMark } from "./playback.ts";
import { last } from "./scale.ts";

const when = () => motion.value !== null && place.value === "direct";
const anyPicked = () => when() && picked.value.length > 0;
const group = "Timeline";

shortcut("Space", "Play or pause", () => (playing.value = !playing.value), { group, when });
shortcut("ArrowLeft", "One frame back or on", () => goTo(frame.value - 1), { group, when });
shortcut("ArrowRight", "One frame back or on", () => goTo(frame.value + 1), { group, when });
shortcut("Shift+ArrowLeft", "Key before or after", () => goTo(neighbour(-1) ?? frame.value), { group, when });
shortcut("Shift+ArrowRight", "Key before or after", () => goTo(neighbour(1) ?? frame.value), { group, when });
shortcut("Home", "First or last frame", () => goTo(0), { group, when });
shortcut("End", "First or last frame", () => goTo(last.value), { group, when });
shortcut("i", "Play from, to here", () => setMark("start", frame.value), { group, when });
shortcut("o", "Play from, to here", () => setMark("end", frame.value), { group, when });
shortcut("l", "Loop", () => (loop.value = !loop.value), { group, when });
shortcut("k", "Key of what is selected", () => void keyNow(), { group, when });
shortcut("c", "Curves", () => (curvesOpen.value = !curvesOpen.value), { group, when });
shortcut("Delete", "Delete picked keys", deletePicked, { group, when: anyPicked });
shortcut("Ctrl+c", "Copy, paste picked keys", copyPicked, { group, when: anyPicked });
shortcut("Ctrl+v", "Copy, paste picked keys", pasteAtPlayhead, { group, when });
shortcut("Ctrl+a", "Pick all keys", () => pick(allKeys()), { group, when });

function allKeys(): Ref[] {
  return [...rows.value.values()].flat().flatMap(({ target, move, keys, span }): Ref[] => {
    if (keys) return keys.filter((mark) => mark.key >= 0).map(({ key }) => ({ target, move, key }));
    return span ? [{ target, move, key: null }] : [];
  });
}
