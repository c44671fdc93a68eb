// How pictures become small enough, with browsers that write this and that.

import { expect, test } from "vitest";
import { formatFor, MAX_HREF, shrunk } from "../src/tools/shrink.js";

/** Writes a picture of so many characters a pixel and quality, and counts how often. */
function writer(perPixel: (quality: number | undefined) => number) {
  const tried: [side: number, quality: number | undefined][] = [];
  const write = async (side: number, quality: number | undefined) => {
    tried.push([side, quality]);
    return "x".repeat(Math.ceil(side * side * perPixel(quality)));
  };
  return { tried, write };
}

test("a browser that does not write WebP writes JPEG, and PNG only of what can be seen through", () => {
  expect(formatFor({ writeWebp: true, beOpaque: false }).type).toBe("image/webp");
  expect(formatFor({ writeWebp: false, beOpaque: true }).type).toBe("image/jpeg");
  expect(formatFor({ writeWebp: false, beOpaque: false }).type).toBe("image/png");
});

test("a type that ignores the quality is written once a size, and in a few sizes", async () => {
  const { tried, write } = writer(() => 3);
  const { href, side } = await shrunk(2_400, formatFor({ writeWebp: false, beOpaque: false }), write);
  expect(href.length).toBeLessThan(MAX_HREF);
  expect(new Set(tried.map(([at]) => at)).size).toBe(tried.length);
  expect(tried.length).toBeLessThanOrEqual(4);
  // No smaller than a step below what would just have fitted.
  expect(side).toBeGreaterThan(Math.sqrt(MAX_HREF / 3) * 0.72);
});

test("a picture is as large as it can be, and then as fine", async () => {
  const { tried, write } = writer((quality = 1) => quality * 0.06);
  const { href, side } = await shrunk(2_400, formatFor({ writeWebp: true, beOpaque: true }), write);
  expect(href.length).toBeLessThan(MAX_HREF);
  expect(side).toBeGreaterThan(1_100);
  expect(tried.filter(([at]) => at > side).every(([, quality]) => quality === 0.5)).toBe(true);
});

test("a small picture that fits is neither scaled nor made rough", async () => {
  const { tried, write } = writer(() => 1);
  expect(await shrunk(100, formatFor({ writeWebp: true, beOpaque: true }), write)).toMatchObject({
    side: 100,
  });
  expect(tried.at(-1)).toEqual([100, 0.85]);
});

test("what does not become small enough is refused", async () => {
  const { write } = writer(() => 1_000);
  await expect(shrunk(2_400, formatFor({ writeWebp: true, beOpaque: true }), write)).rejects.toThrow();
});
