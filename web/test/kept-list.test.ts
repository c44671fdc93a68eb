// The list of drawings that is kept for a time without a network.

import { beforeEach, expect, test, vi } from "vitest";
import { keepList, keptList, type Row } from "../src/home/kept-list.js";

let kept: unknown;

vi.mock("../src/session.js", () => ({
  keepMine: (value: unknown) => {
    kept = JSON.parse(JSON.stringify(value));
  },
  keptMine: () => kept,
}));

beforeEach(() => {
  kept = undefined;
});

function row(nth: number): Row {
  return { drawing_id: `${nth}`, title: `Drawing ${nth}`, role: "owner", created_at: nth };
}

test("a list that was kept is the same list", () => {
  expect(keptList()).toBeUndefined();
  keepList([row(1), row(2)]);
  expect(keptList()).toEqual([row(1), row(2)]);
});

test("of a long list its beginning is kept, and of a drawing what the list shows", () => {
  keepList(Array.from({ length: 1_000 }, (_, nth) => ({ ...row(nth), extra: "x".repeat(1_000) })));
  expect(keptList()).toEqual(Array.from({ length: 100 }, (_, nth) => row(nth)));
});

test("what is no list of drawings is not shown as one", () => {
  kept = "nonsense";
  expect(keptList()).toBeUndefined();
  kept = [null, 1, { drawing_id: 2 }, row(3)];
  expect(keptList()).toEqual([row(3)]);
});
