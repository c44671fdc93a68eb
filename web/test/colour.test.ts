// The colours of users.

import { expect, test } from "vitest";
import { colourAmong, colourOfUser, coloursOf } from "../src/presence/colour.js";

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

const COUNT = 12;

function users(...ids: string[]) {
  return ids.map((user_id) => ({ user_id }));
}

function some(count: number, name = "user") {
  return users(...Array.from({ length: count }, (_, nth) => `${name}-${nth}`));
}

test("as many users as there are colours have one each, whoever they are", () => {
  for (let turn = 0; turn < 50; turn += 1) {
    expect(new Set(coloursOf(some(COUNT, `room-${turn}`)).values()).size).toBe(COUNT);
  }
});

test("all who see the same users see the same colours", () => {
  const here = some(9);
  expect(coloursOf(here.toReversed())).toEqual(coloursOf(here));
});

test("with more users than colours everybody has one, and each is used", () => {
  const colours = coloursOf(some(40));
  expect(colours.size).toBe(40);
  expect(new Set(colours.values()).size).toBe(COUNT);
});

test("who has their own colour keeps it when others come, but for one who comes before them in the order", () => {
  const before = some(6, "early");
  const after = [...before, ...some(6, "late")];
  for (const { user_id } of before) {
    if (colourAmong(before, user_id) !== colourOfUser(user_id)) continue;
    expect(colourAmong(after, user_id), user_id).toBe(colourOfUser(user_id));
  }
});

test("of two with the same colour the first keeps it, and one who is alone has their own", () => {
  const [ada, twin] = twins();
  expect(colourAmong(users(ada), ada)).toBe(colourOfUser(ada));
  expect(colourAmong(users(twin), twin)).toBe(colourOfUser(ada));
  expect(colourAmong(users(twin, ada), ada)).toBe(colourOfUser(ada));
  expect(colourAmong(users(twin, ada), twin)).not.toBe(colourOfUser(ada));
});

test("who is not here has the colour that they would have alone", () => {
  expect(colourAmong(some(3), "elsewhere")).toBe(colourOfUser("elsewhere"));
});

/** Two users whose own colour is the same. */
function twins(): [string, string] {
  const twin = some(500, "z").find(({ user_id }) => colourOfUser(user_id) === colourOfUser("ada"));
  if (twin === undefined) throw new Error("nobody has the colour of ada");
  return ["ada", twin.user_id];
}
