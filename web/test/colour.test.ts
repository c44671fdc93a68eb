// The colours of users.

import { expect, test } from "vitest";
import { colourOfUser } from "../src/presence/colour.js";

/** The contrast of white with a colour, by WCAG 2. */
function contrastWithWhite(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05);
}

test("white letters can be read on the colour of any user", () => {
  const colours = new Set(Array.from({ length: 500 }, (_, nth) => colourOfUser(`user-${nth}`)));
  expect(colours.size).toBeGreaterThan(8);
  for (const colour of colours) expect(contrastWithWhite(colour), colour).toBeGreaterThanOrEqual(4.5);
});
