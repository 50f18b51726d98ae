/** Numbers with units, read and written so that a value keeps the unit it was given in. */

const QUANTITY = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(\s*)([^\d\s,()[\]+-]*)\s*$/i;

export interface Quantity {
  number: number;
  /** As written, "" for a bare number. */
  unit: string;
  /** What stands between number and unit. */
  gap: string;
}

/** One number with an optional unit, or null. */
export function readQuantity(text: string): Quantity | null {
  const found = QUANTITY.exec(text);
  return found ? { number: Number(found[1]), gap: found[2] as string, unit: found[3] as string } : null;
}

/** The shortest text of a number with at most `digits` decimals. */
export function numberText(value: number, digits = 4): string {
  const rounded = Number(value.toFixed(digits));
  return String(Object.is(rounded, -0) ? 0 : rounded);
}

export const quantityText = (quantity: Quantity, digits = 4): string =>
  `${numberText(quantity.number, digits)}${quantity.gap}${quantity.unit}`;

/** A signed quantity of a setting: direction words ("left 10 deg") become the number's sign. */
export function readSigned(text: string, signs: Record<string, number>): Quantity | null {
  const words = text.trim().split(/\s+/);
  for (const place of [0, words.length - 1]) {
    const sign = signs[(words[place] ?? "").toLowerCase()];
    if (sign === undefined || words.length < 2) continue;
    const found = readQuantity(words.filter((_, each) => each !== place).join(" "));
    return found && { ...found, number: found.number * sign };
  }
  return readQuantity(text);
}
