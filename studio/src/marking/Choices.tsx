/** What is shared by fields that offer what this machine has, and by those that take a file. */

import type { Choice } from "../types.ts";

/** Options of a select; what is not on this machine is shown, and cannot be chosen. */
export const ChoiceOptions = ({ of }: { of: readonly Choice[] }) => (
  <>
    {of.map((one) => (
      <option key={one.name} value={one.name} disabled={!one.ready} title={one.says}>
        {one.title}
        {one.ready ? "" : " (not here)"}
      </option>
    ))}
  </>
);

/** The file that was chosen, once; the same one can be chosen again. */
export const withFile = (use: (file: File) => void) => (event: { currentTarget: HTMLInputElement }) => {
  const input = event.currentTarget;
  const file = input.files?.[0];
  input.value = "";
  if (file) use(file);
};
