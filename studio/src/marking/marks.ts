/** What is being marked: the tool in hand, the chosen object, and the calls that change marks on the server. */

import { computed, effect, signal } from "@preact/signals";
import { keep } from "../page.ts";
import { document_, guarded, inTurn, tell, workspace } from "../state.ts";
import type { DocumentData, LiftChoice, MarkingChoices, MaskObject, ViewData } from "../types.ts";
import type { Box, Xy } from "./frame.ts";

export type Tool = "box" | "points" | "brush" | "eraser" | "lens";

export const tool = signal<Tool>("box");
/** Diameter of brush and eraser in photo pixels. */
export const brushSize = keep("brushSize", 24);
/** Id of the chosen object, or null: what is drawn next is a new one. */
export const chosenId = signal<string | null>(null);
export const chosen = computed<MaskObject | null>(() => document_.value?.objects.find((each) => each.id === chosenId.value) ?? null);
/** What the server is looking at, in words; "" when it is done. */
export const working = signal("");
export const choices = signal<MarkingChoices | null>(null);

effect(() => {
  if (chosenId.value !== null && document_.value && !chosen.value) chosenId.value = null;
});

type Answer = DocumentData & { told?: string[] };

/** Asks for a change of the marks; what becomes of it is shown. `begins` is called when its turn comes. Gives the document, or null where it was refused. */
export function change(
  words: string,
  send: (id: string, base: number) => [path: string, body: unknown, headers?: HeadersInit],
  begins: () => void = () => undefined,
): Promise<DocumentData | null> {
  return inTurn(async () => {
    const [at, now] = [workspace.value, document_.value];
    if (!at || !now) return null;
    begins();
    working.value = words;
    const found = await guarded(() => {
      const [path, body, headers] = send(at.id, now.revision);
      return at.request<Answer>(path, "POST", body, headers);
    });
    working.value = "";
    if (!found) return null;
    document_.value = found;
    if (found.told?.length) tell(found.told.join("; "));
    return found;
  });
}

type MarkChange =
  | { cut: { box: Box | null; inside: Xy[]; outside: Xy[]; id: string | null; name?: string } }
  | { find: { words: string[] } }
  | { say: { id: string; name?: string; occluder?: boolean; lifter?: string; relation?: MaskObject["relation"] | "none"; mesh?: "none" } }
  | { delete: string }
  | { order: string[] }
  | { view: Pick<ViewData, "focal" | "pitch" | "roll"> }
  | { lift: LiftChoice };

export const mark = (words: string, what: MarkChange, begins?: () => void) => change(words, (_, base) => ["objects", { base, change: what }], begins);

const named = (name: string): HeadersInit => ({ "X-Name": encodeURIComponent(name) });

/** A mask as a person painted it: of an object, or a new one. */
export const sendPainted = (picture: Blob, id: string | null) =>
  change("Keeping the stroke…", (_, base) => [`objects/painted?base=${base}${id ? `&object=${id}` : ""}`, picture]);

/** A mask's file, as one or several new objects. */
export const sendMaskFile = (file: File) =>
  change(`Reading ${file.name}…`, (_, base) => [`objects/mask?base=${base}`, file, named(file.name)]);

/** A mesh for an object. */
export const sendMesh = (file: File, id: string) =>
  change(`Reading ${file.name}…`, (_, base) => [`objects/mesh?base=${base}&object=${id}`, file, named(file.name)]);

export const sendDepth = (file: File) =>
  change(`Reading ${file.name}…`, (_, base) => [`objects/depth?base=${base}`, file, named(file.name)]);

/** Gives up what the photo is looked at for; the question that waits for it is told so. */
export const stopLooking = () => guarded(async () => workspace.value?.request("objects/stop", "POST"));

/** Chooses what a change has added, which is the last of the objects. */
export function chooseNew(before: readonly MaskObject[], found: DocumentData | null): void {
  const known = new Set(before.map((each) => each.id));
  const fresh = found?.objects.filter((each) => !known.has(each.id)) ?? [];
  if (fresh.length) chosenId.value = fresh[fresh.length - 1]?.id ?? null;
}

/** Boxes that are being cut out, in file pixels. */
export const cutting = signal<Box[]>([]);

async function whileCutting<T>(box: Box, work: Promise<T>): Promise<T> {
  cutting.value = [...cutting.value, box];
  return work.finally(() => (cutting.value = cutting.value.filter((each) => each !== box)));
}

/** A new object from a box. */
export async function markBox(box: Box): Promise<void> {
  let before: readonly MaskObject[] = [];
  const begins = () => (before = document_.value?.objects ?? []);
  const found = await whileCutting(box, mark("Cutting out…", { cut: { box, inside: [], outside: [], id: null } }, begins));
  chooseNew(before, found);
}

/** Another box for an object. */
export const changeBox = (object: MaskObject, box: Box) => whileCutting(box, recut(object, object.inside, object.outside, box));

/** A point on the chosen object or beside it; the first one makes a new object. */
export async function markPoint(at: Xy, on: boolean): Promise<void> {
  const object = chosen.value;
  const before = document_.value?.objects ?? [];
  if (!object) {
    if (!on) tell("Click on the object first; Alt or the right button then takes away what does not belong to it.");
    else chooseNew(before, await mark("Cutting out…", { cut: { box: null, inside: [at], outside: [], id: null } }));
    return;
  }
  await recut(object, on ? [...object.inside, at] : object.inside, on ? object.outside : [...object.outside, at]);
}

export const recut = (object: MaskObject, inside: Xy[], outside: Xy[], box = object.box) =>
  mark("Cutting out…", { cut: { box, inside, outside, id: object.id } });

/** Asks once what there is on this machine. */
export async function loadChoices(): Promise<void> {
  const at = workspace.value;
  if (at) choices.value = await guarded(() => at.request<MarkingChoices>("objects/choices"));
}
