// How the ids of an op are read.

import { expect, test } from "vitest";
import { readUnit } from "../src/canvas/read.js";

const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "A")}`;
const op = (unit?: string) =>
  ({ op_id: id(1), type: "custom.x", revision: 1, actor: "a", ts: 0, unit }) as never;

test("a unit that is no UUID cannot be read, before another one was and after", () => {
  expect(readUnit(op(""))).toBeUndefined();
  expect(readUnit(op(id(2)))).toBe(id(2).toLowerCase());
  expect(readUnit(op(id(2)))).toBe(id(2).toLowerCase());
  expect(readUnit(op(""))).toBeUndefined();
  expect(readUnit(op())).toBe(id(1).toLowerCase());
});
