// Objects in words.

import { expect, test } from "vitest";
import { describe } from "../src/board/describe.js";
import type { JsonObject, ViewObject } from "../src/revcast.js";
import { arrowProps } from "../src/tools/change.js";
import { lookOf } from "../src/tools/look.js";

const object = (kind: string, props: JsonObject = {}): ViewObject => ({ object_id: "a", kind, z: "", props });

test("an object is told by what it is, its colour if that has a name, and its place", () => {
  expect(describe(object("rect", { stroke: "#E03131" }), 2, 5)).toBe("Rectangle, red, 2 of 5");
  expect(describe(object("ellipse", { stroke: "#123456" }), 1, 1)).toBe("Ellipse, 1 of 1");
  expect(describe(object("path", arrowProps({ x: 0, y: 0 }, { x: 9, y: 9 }, 2)), 1, 2)).toMatch(/^Arrow,/);
  expect(describe({ ...object("stroke"), tool: "highlighter" }, 1, 2)).toMatch(/^Highlighter stroke,/);
  expect(describe(object("text", { text: "hello" }), 1, 2)).toBe("Text “hello”, ink, 1 of 2");
  expect(describe(object("text", { text: "a".repeat(500) }), 1, 2).length).toBeLessThan(160);
});

test("objects have a look together where they have the same, and none of what they cannot have", () => {
  const red = object("rect", { stroke: "#e03131", strokeWidth: 4, fill: "#e0313133" });
  const text = object("text", { color: "#e03131" });
  expect(lookOf([red, text])).toEqual({ colour: "#e03131", width: 4, isFilled: true });
  expect(lookOf([red, object("stroke", { color: "#1971c2", size: 4 })])).toEqual({
    colour: "mixed",
    width: 4,
    isFilled: true,
  });
  expect(lookOf([red, object("ellipse", { stroke: "#e03131" })])).toMatchObject({
    width: "mixed",
    isFilled: "mixed",
  });
  expect(lookOf([object("image")])).toEqual({ colour: undefined, width: undefined, isFilled: undefined });
});
