// What the user is told of what went wrong.

import { RevcastError } from "@revcast/client";
import { expect, test } from "vitest";
import { reasonOf, wordsOf } from "../src/board/words.js";

test("what is not allowed is told without the name of an op", () => {
  const error = new RevcastError("forbidden", "object.create is not for the role viewer");
  expect(wordsOf(error)).toBe("Your role does not allow it.");
});

test("a code without words is told as the server tells it", () => {
  expect(reasonOf({ code: "brand_new", detail: "it is full moon" })).toBe("it is full moon");
  expect(reasonOf({ code: "brand_new" })).toBe("brand_new");
});
