// Long lines of text are broken where the text is written: the breaks become a part of it, so that every reader has the same
// lines, whatever its fonts and whether it can measure them. Pure.

import { graphemesOf } from "./graphemes.js";

/** The text with lines that are no broader than `width`, as far as `widthOf` tells. */
export function wrapped(text: string, width: number, widthOf: (part: string) => number): string {
  const known = new Map<string, number>();
  const measured = (part: string): number => {
    const was = known.get(part);
    if (was !== undefined) return was;
    const is = widthOf(part);
    known.set(part, is);
    return is;
  };
  return text
    .split(/\r?\n/)
    .flatMap((line) => (widthOf(line) <= width ? [line] : broken(line, width, measured)))
    .join("\n");
}

function broken(line: string, width: number, widthOf: (part: string) => number): string[] {
  const lines: string[] = [];
  let [current, used] = ["", 0];
  const add = (part: string, its: number) => {
    current += part;
    used += its;
  };
  const next = () => {
    lines.push(current);
    [current, used] = ["", 0];
  };
  let gap = "";
  for (const part of line.split(/(\s+)/)) {
    if (part === "") continue;
    if (/^\s/.test(part)) {
      gap = part;
      continue;
    }
    const its = widthOf(part);
    const isFirst = current === "" && lines.length > 0;
    // The break takes the place of the space.
    if (!isFirst && used + widthOf(gap) + its <= width) add(gap + part, widthOf(gap) + its);
    else if (its <= width) {
      if (current !== "") next();
      add(part, its);
    } else {
      // Longer than a line, as an address is, or a sentence in a language without spaces.
      const room = width - used - widthOf(gap);
      if (current !== "" && room < width / 3) next();
      else if (!isFirst && room > 0) add(gap, widthOf(gap));
      for (const character of graphemesOf(part)) {
        const breadth = widthOf(character);
        if (used + breadth > width && current.trim() !== "") next();
        add(character, breadth);
      }
    }
    gap = "";
  }
  if (current !== "") lines.push(current);
  return lines;
}
