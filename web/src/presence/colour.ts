// The colour of a user: the same for all who see them, and from one day to the next. Pure.

/** White letters can be read on each of them. */
const COLOURS = [
  "#d6336c",
  "#9c36b5",
  "#7048e8",
  "#4263eb",
  "#1971c2",
  "#0b7285",
  "#087f5b",
  "#26793a",
  "#8f6400",
  "#c2410c",
  "#c92a2a",
  "#846042",
] as const;

export function colourOfUser(userId: string): string {
  // FNV-1a: short, and spreads ids that differ in one letter.
  let hash = 0x811c9dc5;
  for (let at = 0; at < userId.length; at += 1) {
    hash = Math.imul(hash ^ userId.charCodeAt(at), 0x01000193);
  }
  return COLOURS[(hash >>> 0) % COLOURS.length] ?? COLOURS[0];
}

/** One or two letters for an avatar. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const [first = "?", last] = [words[0], words.length > 1 ? words[words.length - 1] : undefined];
  return (
    [...first].slice(0, 1).join("") + (last === undefined ? "" : [...last].slice(0, 1).join(""))
  ).toUpperCase();
}
