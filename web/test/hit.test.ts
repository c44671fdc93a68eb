// What is under the pointer.

import { describe, expect, test } from "vitest";
import type { JsonObject, ViewObject } from "../src/revcast.js";
import { handleUnder, isInside, isOnLine, waypoints } from "../src/scene/hit.js";
import { shapeOf } from "../src/scene/shape.js";

const object = (kind: string, props: JsonObject, more: Partial<ViewObject> = {}): ViewObject => ({
  object_id: "a",
  kind,
  z: "",
  props,
  ...more,
});
const hit = (of: ViewObject, x: number, y: number, slack = 2) => shapeOf(of)?.hit({ x, y }, slack);

describe("lines", () => {
  test("a place is on a line as far as the line reaches", () => {
    const line = [
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 10 },
    ];
    expect(isOnLine({ x: 5, y: 1 }, line, 2)).toBe(true);
    expect(isOnLine({ x: 11, y: 5 }, line, 2)).toBe(true);
    expect(isOnLine({ x: 5, y: 5 }, line, 2)).toBe(false);
    expect(isOnLine({ x: 0, y: 0 }, [], 2)).toBe(false);
    expect(isOnLine({ x: 1, y: 0 }, line.slice(0, 1), 2)).toBe(true);
  });

  test("a polygon has an inside", () => {
    const square = [
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 10, y: 10 },
      { x: 0, y: 10 },
    ];
    expect(isInside({ x: 5, y: 5 }, square)).toBe(true);
    expect(isInside({ x: 15, y: 5 }, square)).toBe(false);
  });

  test("an eraser that jumps passes over what is between", () => {
    const way = waypoints({ x: 0, y: 0 }, { x: 10, y: 0 }, 3);
    expect(way).toHaveLength(4);
    expect(way[3]).toEqual({ x: 10, y: 0 });
  });
});

describe("shapes", () => {
  const box = { x: 0, y: 0, width: 100, height: 100 };
  test("an empty rectangle is hit on its edge, a filled one inside too", () => {
    expect(hit(object("rect", box), 50, 50)).toBe(false);
    expect(hit(object("rect", box), 1, 50)).toBe(true);
    expect(hit(object("rect", { ...box, fill: "#fff" }), 50, 50)).toBe(true);
    expect(hit(object("rect", { ...box, fill: "#fff" }), 150, 50)).toBe(false);
  });

  test("the corner of the box of an ellipse is not on it", () => {
    expect(hit(object("ellipse", { ...box, fill: "red" }), 2, 2)).toBe(false);
    expect(hit(object("ellipse", { ...box, fill: "red" }), 50, 50)).toBe(true);
    expect(hit(object("ellipse", box), 0, 50)).toBe(true);
  });

  test("a stroke is hit where it has been moved to", () => {
    const stroke = object(
      "stroke",
      { size: 4, x: 100, y: 0 },
      {
        points: [
          [0, 0],
          [10, 10],
        ],
        tool: "pen",
        complete: true,
      },
    );
    expect(hit(stroke, 105, 5)).toBe(true);
    expect(hit(stroke, 5, 5)).toBe(false);
  });

  test("a turned box is hit where it is seen", () => {
    const turned = object("rect", { x: 0, y: 0, width: 100, height: 10, fill: "red", rotation: 90 });
    expect(hit(turned, 50, 40)).toBe(true);
    expect(hit(turned, 5, 5)).toBe(false);
    expect(shapeOf(turned)?.box.maxY).toBeCloseTo(55);
  });

  test("an unknown kind without a box is not there", () => {
    expect(shapeOf(object("thing", {}))).toBeUndefined();
    expect(shapeOf(object("thing", box))).toBeDefined();
  });
});

test("corners go before edges", () => {
  const frame = { minX: 0, minY: 0, maxX: 10, maxY: 10 };
  expect(handleUnder(frame, { x: 1, y: 1 }, 6)).toBe("nw");
  expect(handleUnder({ ...frame, maxX: 100 }, { x: 50, y: 0 }, 6)).toBe("n");
  expect(handleUnder(frame, { x: 50, y: 50 }, 6)).toBeUndefined();
});
