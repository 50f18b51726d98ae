/** Splitting of one-line texts as a shot file has them; `real2sam2real/scene/units.py` is the other side. */

/** Parts between separator characters that stand outside quotes and brackets, as they are. */
export function splitOutside(text: string, separators: string): string[] {
  const parts: string[] = [];
  let [depth, quote, part] = [0, "", ""];
  for (const char of text) {
    if (quote) quote = char === quote ? "" : quote;
    else if (char === '"' || char === "'") quote = char;
    else depth += ("([".includes(char) ? 1 : 0) - (")]".includes(char) ? 1 : 0);
    if (separators.includes(char) && depth === 0 && !quote) {
      parts.push(part);
      part = "";
    } else part += char;
  }
  return [...parts, part];
}

/** Parts of a list; one pair of outer brackets is left out. */
export function splitList(text: string, separators = ","): string[] {
  const body = withoutBrackets(text.trim());
  return body ? splitOutside(body, separators).map((part) => part.trim()) : [];
}

/** Words between spaces outside quotes and brackets. */
export function tokens(text: string): string[] {
  return splitOutside(text, " \t\n").filter(Boolean);
}

/** Without surrounding spaces and quotes. */
export function unquoted(text: string): string {
  const body = text.trim();
  const quoted = body.length > 1 && body[0] === body.at(-1) && "\"'".includes(body[0] as string);
  return quoted ? body.slice(1, -1) : body;
}

function withoutBrackets(body: string): string {
  if (body.length < 2) return body;
  let depth = 0;
  for (const [place, char] of [...body].entries()) {
    depth += ("([".includes(char) ? 1 : 0) - (")]".includes(char) ? 1 : 0);
    if (depth === 0 && place < body.length - 1) return body;
  }
  return depth === 0 ? body.slice(1, -1).trim() : body;
}
