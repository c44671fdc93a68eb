// The colour of a user: the same for all who see the same users, and from one day to the next as far as that goes. Pure.

/** White letters can be read on each of them. */
const COLOURS: readonly [string, ...string[]] = [
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
];

/** Neighbours are alike. Has no divisor in common with the number of colours, so that all of them have their turn. */
const STEP = 5;

/** The colour of each of these users, whatever order they are in. As many differ as there are colours. */
export function coloursOf(users: readonly Someone[]): ReadonlyMap<string, string> {
  const known = cached.get(users);
  if (known !== undefined) return known;
  const colours = new Map<string, string>();
  const free = new Set<string>(COLOURS);
  const without: string[] = [];
  const give = (id: string, colour: string) => {
    colours.set(id, colour);
    free.delete(colour);
  };
  const ids = users.map(({ user_id }) => user_id).sort();
  // First all who can have their own: who comes later takes it from nobody but from who has to have another one anyway.
  for (const id of ids) {
    const own = colourOfUser(id);
    if (free.has(own)) give(id, own);
    else without.push(id);
  }
  for (const id of without) give(id, nextFree(colourOfUser(id), free));
  cached.set(users, colours);
  return colours;
}

/** The colour of a user among those who are here; somebody who is not here has their own. */
export function colourAmong(users: readonly Someone[], userId: string): string {
  return coloursOf(users).get(userId) ?? colourOfUser(userId);
}

interface Someone {
  readonly user_id: string;
}

/** The client gives the same array until somebody changes, and it is asked for with every frame. */
const cached = new WeakMap<readonly Someone[], ReadonlyMap<string, string>>();

/** The next colour after `own` that is free, in steps to one that looks quite different; `own` if none is. */
function nextFree(own: string, free: ReadonlySet<string>): string {
  const from = COLOURS.indexOf(own);
  const inTurn = COLOURS.map((_, nth) => COLOURS[(from + nth * STEP) % COLOURS.length]);
  return inTurn.find((colour) => colour !== undefined && free.has(colour)) ?? own;
}

/** The colour that a user would have alone. */
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
