/** Which targets show one row alone. */

import { keep } from "../page.ts";

export const folded = keep<string[]>("folded", []);

export function toggleFold(target: string): void {
  const others = folded.value.filter((each) => each !== target);
  folded.value = others.length === folded.value.length ? [...others, target] : others;
}
