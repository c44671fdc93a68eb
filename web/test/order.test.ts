// There is always a place in front, and nearly always one behind.

import { expect, test } from "vitest";
import { above, below, MIDDLE } from "../src/scene/order.js";

test("above sorts after, below sorts before", () => {
  for (const z of [MIDDLE, "a", "z", "zz", "zzy", "0V", "1", "A0", "~", "é", "a1", "Zz~"]) {
    expect(above(z) > z, z).toBe(true);
    const lower = below(z);
    expect(lower !== undefined && lower < z, z).toBe(true);
  }
});

test("nothing sorts before the empty string, and anything after it", () => {
  expect(below("")).toBeUndefined();
  expect(above("") > "").toBe(true);
});

test("a thousand times to the front or to the back stays in order, and short", () => {
  let [front, back] = [MIDDLE, MIDDLE];
  for (let nth = 0; nth < 1_000; nth += 1) {
    const [higher, lower] = [above(front), below(back)];
    expect(higher > front).toBe(true);
    expect(lower !== undefined && lower < back).toBe(true);
    [front, back] = [higher, lower ?? ""];
  }
  expect(front.length).toBeLessThan(256);
  expect(back.length).toBeLessThan(256);
});
