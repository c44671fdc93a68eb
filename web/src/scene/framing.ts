// What to show of a drawing that is too wide to be shown whole: a part with something in it. Pure.

import { type Box, boxOf, centreOf, contains, type Size, sizeOf, union, type Vec } from "./geometry.js";

/** An object, as far as it matters where it is. */
export interface Placed {
  readonly box: Box;
  readonly shape: { hit(at: Vec, slack: number): boolean };
}

/** Places along each side at which something too large is looked at. */
const LOOKS = 16;

/** The box of all that there is, or where that is larger than `room`, of what lies together in it. */
export function framed(things: readonly Placed[], room: Size): Box | undefined {
  const all = union(things.map(({ box }) => box));
  if (all === undefined || fits(all, room)) return all;
  const small = things.filter(({ box }) => fits(box, room));
  const [first] = things;
  if (small.length === 0) return first && around(placeOn(first), room);
  const window = around(centreOf(densest(small, room)), room);
  return union(small.map(({ box }) => box).filter((box) => contains(window, box)));
}

function fits(box: Box, room: Size): boolean {
  const { width, height } = sizeOf(box);
  return width <= room.width && height <= room.height;
}

function around({ x, y }: Vec, { width, height }: Size): Box {
  return boxOf({ x: x - width / 2, y: y - height / 2 }, { x: x + width / 2, y: y + height / 2 });
}

/** The box of those in that quarter of a room in which most of them are. It is in a room around its middle as a whole. */
function densest(things: readonly Placed[], { width, height }: Size): Box {
  const cells = new Map<string, Box[]>();
  let most: Box[] = [];
  for (const { box } of things) {
    const { x, y } = centreOf(box);
    const key = `${Math.floor((2 * x) / width)},${Math.floor((2 * y) / height)}`;
    const cell = cells.get(key) ?? [];
    cell.push(box);
    cells.set(key, cell);
    if (cell.length > most.length) most = cell;
  }
  const whole = union(most);
  if (whole !== undefined && fits(whole, { width, height })) return whole;
  // They stand out of it too far to be seen together.
  return most[0] ?? boxOf({ x: 0, y: 0 }, { x: 0, y: 0 });
}

/** A place at which something of it can be seen: the middle of what is only an edge is empty. */
function placeOn({ box, shape }: Placed): Vec {
  const { width, height } = sizeOf(box);
  const slack = Math.max(width, height) / LOOKS / 2;
  for (let row = 0; row <= LOOKS; row += 1) {
    for (let column = 0; column <= LOOKS; column += 1) {
      const at = { x: box.minX + (width * column) / LOOKS, y: box.minY + (height * row) / LOOKS };
      if (shape.hit(at, slack)) return at;
    }
  }
  return centreOf(box);
}
