// Characters as people see them: an emoji of several code points is one. Pure.

/** A surrogate without its other half, which no server takes. */
const LONE = /\p{Surrogate}/gu;

/** The longest beginning of a text that has no more than `length` UTF-16 code units, and ends between characters. */
export function beginningOf(text: string, length: number): string {
  const whole = text.replace(LONE, "\uFFFD");
  if (whole.length <= length) return whole;
  let end = 0;
  // What follows the cut decides nothing, and there may be megabytes of it. One character may be quite long.
  for (const part of graphemesOf(whole.slice(0, length + LONGEST))) {
    if (end + part.length > length) break;
    end += part.length;
  }
  return whole.slice(0, end);
}

/** Longer than any character that is seen as one, in code units. */
const LONGEST = 64;

/** A text in its characters. */
export function graphemesOf(text: string): string[] {
  // Firefox has it since 125 only.
  if (!("Segmenter" in Intl)) return [...text];
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

let segmenter: Intl.Segmenter | undefined;

/** What `before` has become by one insertion, which is cut where all of it is too long; and where the insertion ends then. */
export function fitted(before: string, after: string, length: number): { text: string; end: number } {
  if (after.length <= length) return { text: after, end: after.length };
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail])
    tail += 1;
  // Two characters may have a half in common.
  if (isInside(after, head)) head -= 1;
  if (isInside(after, after.length - tail)) tail -= 1;
  const rest = after.slice(after.length - tail);
  const inserted = after.slice(head, after.length - tail);
  const kept = beginningOf(inserted, Math.max(0, length - head - tail));
  return { text: after.slice(0, head) + kept + rest, end: head + kept.length };
}

/** Whether a place is between the halves of a character. */
function isInside(text: string, at: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(Math.max(0, at - 1), at + 1));
}
