// The ids of ops that are made at once.

import { validate, version } from "uuid";
import { expect, test, vi } from "vitest";
import { newIds } from "../src/ids.js";

test.each([1, 2, 4_096, 4_097, 10_000])(
  "%i ids are UUIDs of version 7, ascend and are all different",
  (count) => {
    const ids = newIds(count);
    expect(ids).toHaveLength(count);
    expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
    expect([...new Set(ids)].sort()).toEqual(ids);
  },
);

test("of thousands of ids randomness is asked for once", () => {
  const asked = vi.spyOn(crypto, "getRandomValues");
  newIds(4_000);
  expect(asked).toHaveBeenCalledTimes(1);
  asked.mockRestore();
});

test("no two calls make the same", () => {
  expect(new Set([...newIds(100), ...newIds(100)]).size).toBe(200);
});
