// Objects come to the front and to the back, any number of them, whatever keys they have.

import { expect, test } from "vitest";
import { FIRST, MAX_Z, type Ordered, toBack, toFront } from "../src/scene/order.js";

/** Objects with these keys, in order. */
function drawing(keys: readonly string[]): Ordered[] {
  return keys.map((z, nth) => ({ object_id: `${nth}`, z }));
}

/** The objects in the order in which they are seen after the change, which fits into what the server takes. */
function after(objects: readonly Ordered[], change: ReadonlyMap<string, string>): Ordered[] {
  const changed = objects.map(({ object_id, z }) => ({ object_id, z: change.get(object_id) ?? z }));
  expect(Math.max(...changed.map(({ z }) => z.length))).toBeLessThanOrEqual(MAX_Z);
  // Stable: of equals the later one is in front.
  return changed.sort((a, b) => (a.z < b.z ? -1 : a.z > b.z ? 1 : 0));
}

const ids = (objects: readonly Ordered[]) => objects.map(({ object_id }) => object_id);

const FOREIGN = ["V", "a", "z", "zz", "A0", "~", "é", "a1", "Zz~", "1", "0V", "a~", "0"].sort();

test("eight thousand come to the front and to the back, as often as one likes, and stay in order", () => {
  let objects = drawing(Array.from({ length: 10_000 }, () => FIRST));
  const chosen = new Set(ids(objects).filter((id) => Number(id) % 5 !== 0));
  const rest = ids(objects).filter((id) => !chosen.has(id));
  for (let nth = 0; nth < 3; nth += 1) {
    objects = after(objects, toFront(objects, chosen));
    expect(ids(objects)).toEqual([...rest, ...chosen]);
    objects = after(objects, toBack(objects, chosen));
    expect(ids(objects)).toEqual([...chosen, ...rest]);
  }
  expect(Math.max(...objects.map(({ z }) => z.length))).toBeLessThan(8);
});

test("only what is chosen gets a new key where there is room", () => {
  const objects = drawing([FIRST, "a1", "a2"]);
  expect([...toFront(objects, new Set(["0"]))]).toEqual([["0", "a3"]]);
  expect([...toBack(objects, new Set(["2"]))]).toEqual([["2", "Zz"]]);
});

test("what is in front already stays as it is", () => {
  const objects = drawing([FIRST, FIRST, "a2"]);
  expect(toFront(objects, new Set(["1", "2"])).size).toBe(0);
  expect(toBack(objects, new Set(["0"])).size).toBe(0);
  expect(toFront(objects, new Set(["0", "1", "2"])).size).toBe(0);
});

test("keys of other programs are gone before and behind", () => {
  const objects = drawing(FOREIGN);
  for (const id of ids(objects)) {
    const others = ids(objects).filter((other) => other !== id);
    expect(ids(after(objects, toFront(objects, new Set([id]))))).toEqual([...others, id]);
    expect(ids(after(objects, toBack(objects, new Set([id]))))).toEqual([id, ...others]);
  }
});

test("before the empty key there is no room, so that those who have it move up together", () => {
  const objects = drawing(["", "", "a0", "a1"]);
  const change = toBack(objects, new Set(["3"]));
  expect(ids(after(objects, change))).toEqual(["3", "0", "1", "2"]);
  expect(change.has("2")).toBe(false);
});

test("long keys are made short before the server refuses them", () => {
  const long = `a0${"z".repeat(MAX_Z - 3)}`;
  const objects = drawing(["a0", `${long.slice(0, -1)}1`, long, "~".repeat(MAX_Z)]);
  const change = toFront(objects, new Set(["0"]));
  expect(ids(after(objects, change))).toEqual(["1", "2", "3", "0"]);
  const back = drawing(["0".repeat(MAX_Z), `${"!".repeat(MAX_Z)}`, "a0"].sort());
  expect(ids(after(back, toBack(back, new Set(["2"]))))).toEqual(["2", "0", "1"]);
});

test("where no key is left in front, all get new ones", () => {
  const objects = drawing([...Array.from({ length: 8_000 }, () => "a0"), "z".repeat(100)]);
  const chosen = new Set(ids(objects).slice(0, -1));
  expect(ids(after(objects, toFront(objects, chosen)))).toEqual(["8000", ...chosen]);
});

test("a thousand times to the front, one after the other, stays in order, and short", () => {
  let objects = drawing(["V", "a", "~"]);
  for (let nth = 0; nth < 1_000; nth += 1) {
    const [first = "", ...others] = ids(objects);
    objects = after(objects, toFront(objects, new Set([first])));
    expect(ids(objects)).toEqual([...others, first]);
  }
  for (let nth = 0; nth < 1_000; nth += 1) {
    const order = ids(objects);
    const last = order.pop() ?? "";
    objects = after(objects, toBack(objects, new Set([last])));
    expect(ids(objects)).toEqual([last, ...order]);
  }
  expect(Math.max(...objects.map(({ z }) => z.length))).toBeLessThan(32);
});
