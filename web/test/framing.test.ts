// Of a drawing too wide for the screen, something is shown that is there.

import { expect, test } from "vitest";
import { framed } from "../src/scene/framing.js";
import { type Box, boxOf, holds, sizeOf, type Vec } from "../src/scene/geometry.js";

const ROOM = { width: 1_000, height: 800 };

function at(x: number, y: number, side = 10) {
  const box = boxOf({ x, y }, { x: x + side, y: y + side });
  return { box, shape: { hit: (place: Vec) => holds(box, place) } };
}

test("all is shown where it fits", () => {
  expect(framed([at(0, 0), at(700, 500)], ROOM)).toEqual(boxOf({ x: 0, y: 0 }, { x: 710, y: 510 }));
  expect(framed([], ROOM)).toBeUndefined();
});

test("of what lies far apart, the part with most in it is shown", () => {
  const near = [at(60_000, 5), at(60_400, 5), at(60_450, 300)];
  expect(framed([at(0, 0), ...near, at(-60_000, 0)], ROOM)).toEqual(
    boxOf({ x: 60_000, y: 5 }, { x: 60_460, y: 310 }),
  );
});

test("of one large thing that is only an edge, a piece of the edge is shown", () => {
  const box: Box = boxOf({ x: 0, y: 0 }, { x: 60_000, y: 60_000 });
  const hit = ({ x, y }: Vec, slack: number) => Math.abs(Math.hypot(x - 30_000, y - 30_000) - 30_000) < slack;
  const shown = framed([{ box, shape: { hit } }], ROOM);
  const { x, y } = { x: (shown?.minX ?? 0) + 500, y: (shown?.minY ?? 0) + 400 };
  expect(Math.abs(Math.hypot(x - 30_000, y - 30_000) - 30_000)).toBeLessThan(2_000);
  expect(shown && sizeOf(shown)).toEqual(ROOM);
});
