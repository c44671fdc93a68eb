// Order on screen: `z` strings, which are compared by their UTF-16 code units; of equals the later object is in front.
// Decides which objects get which `z` so that some come before or behind all others. Pure.

import { generateKeyBetween, generateNKeysBetween } from "fractional-indexing";

/** The most characters of a `z` that the server takes. */
export const MAX_Z = 256;
/** The `z` of the first object of a drawing. */
export const FIRST = generateKeyBetween(null, null);

/** What order depends on. */
export interface Ordered {
  readonly object_id: string;
  readonly z: string;
}

/** The new `z` of those objects that get one, by their ids. */
export type Reordering = ReadonlyMap<string, string>;

/**
 * Brings some of the objects before all others; among themselves they stay in order. `objects` are all of them, from the
 * back to the front. Where the keys in front have no room left, their objects get new ones, too, and keep their order.
 */
export function toFront(objects: readonly Ordered[], chosen: ReadonlySet<string>): Reordering {
  const [moving, staying] = parted(objects, chosen);
  if (isAtEnd(objects, moving, objects.length - moving.length)) return new Map();
  // What is in front of that has no room, and gets new keys.
  let kept = staying.length;
  while ((staying[kept - 1]?.z.length ?? 0) > MAX_Z - ROOM) kept -= 1;
  const changed = [...staying.slice(kept), ...moving];
  const from = staying[kept - 1];
  const keys = from === undefined ? undefined : above(from.z, changed.length);
  if (keys !== undefined) return paired(changed, keys);
  const all = [...staying, ...moving];
  return paired(all, fresh(all.length));
}

/** As `toFront`, to the back. */
export function toBack(objects: readonly Ordered[], chosen: ReadonlySet<string>): Reordering {
  const [moving, staying] = parted(objects, chosen);
  if (isAtEnd(objects, moving, 0)) return new Map();
  for (let lifted = 0; lifted < staying.length; lifted += 1) {
    const changed = [...moving, ...staying.slice(0, lifted)];
    const keys = below(staying[lifted]?.z ?? "", changed.length);
    if (keys !== undefined) return paired(changed, keys);
  }
  const all = [...moving, ...staying];
  return paired(all, fresh(all.length));
}

/** What a key may grow by, with some to spare for those who put something before it later. */
const ROOM = 64;
const KEY = /^[0-9A-Za-z]+$/;

/** Whether some objects are where they are to come already, and nothing else with them. */
function isAtEnd(objects: readonly Ordered[], moving: readonly Ordered[], from: number): boolean {
  return moving.every((object, nth) => objects[from + nth] === object);
}

function parted(objects: readonly Ordered[], chosen: ReadonlySet<string>): [Ordered[], Ordered[]] {
  const [moving, staying]: [Ordered[], Ordered[]] = [[], []];
  for (const object of objects) (chosen.has(object.object_id) ? moving : staying).push(object);
  return [moving, staying];
}

function paired(objects: readonly Ordered[], keys: readonly string[]): Reordering {
  return new Map(objects.map(({ object_id }, nth) => [object_id, keys[nth] ?? FIRST]));
}

function fresh(count: number): string[] {
  return generateNKeysBetween(null, null, count);
}

/** So many keys that sort after `z`, in order; none if there is no room. */
function above(z: string, count: number): string[] | undefined {
  const { prefix, key } = split(z);
  return fitting(generateNKeysBetween(key, null, count).map((one) => prefix + one));
}

/** So many keys that sort before `z`, in order; none if there is no room. */
function below(z: string, count: number): string[] | undefined {
  const { prefix, key } = split(z);
  const keys =
    key === null ? belowForeign(z, count) : generateNKeysBetween(null, key, count).map((one) => prefix + one);
  return fitting(keys);
}

function fitting(keys: string[] | undefined): string[] | undefined {
  return keys?.every(({ length }) => length <= MAX_Z) ? keys : undefined;
}

/** Before what is no key of ours: at its first character with something lower that a key may begin with. */
function belowForeign(z: string, count: number): string[] | undefined {
  for (let at = 0; at < z.length; at += 1) {
    const [prefix, char] = [z.slice(0, at), z.charAt(at)];
    // Keys before the first one begin with a capital letter.
    if (char >= "a") return generateNKeysBetween(null, FIRST, count).map((one) => prefix + one);
    if (char > "0") return fresh(count).map((one) => `${prefix}0${one}`);
    if (char < "0") return undefined;
  }
  return undefined;
}

/**
 * A `z` as something and a key after it, which others can take the place of. Other programs have keys of their own kind:
 * of those all is prefix.
 */
function split(z: string): { readonly prefix: string; readonly key: string | null } {
  for (let at = 0; at < z.length; at += 1) {
    const key = z.slice(at);
    if (isKey(key)) return { prefix: z.slice(0, at), key };
  }
  return { prefix: z, key: null };
}

function isKey(text: string): boolean {
  if (!KEY.test(text)) return false;
  try {
    // Keys next to it can only be made on both sides of one that is whole.
    generateKeyBetween(text, null);
    generateKeyBetween(null, text);
    return true;
  } catch {
    return false;
  }
}
