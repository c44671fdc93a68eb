// Moving, scaling and quantizing.

import { describe, expect, test } from "vitest";
import type { JsonObject, Point, ViewObject } from "../src/revcast.js";
import { weighed } from "../src/scene/ink.js";
import { boxOfPath } from "../src/scene/kinds/line.js";
import { arrowProps, scaledStroke, scaleOf, shiftOf, withProps } from "../src/tools/change.js";
import { quantized, quantizedPressure } from "../src/tools/tool.js";

const object = (kind: string, props: JsonObject): ViewObject => ({ object_id: "a", kind, z: "", props });
const DOUBLE = { from: { x: 0, y: 0 }, x: 2, y: 3 };

test("places are kept to a tenth and pressures to a hundredth", () => {
  expect(quantized(1.2499)).toBe(1.2);
  expect(Object.is(quantized(-0.01), 0)).toBe(true);
  expect(quantizedPressure(0.4567)).toBe(0.46);
  expect([quantizedPressure(-1), quantizedPressure(2)]).toEqual([0, 1]);
});

test("moving changes x and y, whatever the kind", () => {
  expect(shiftOf(object("line", { x1: 5 }), 1.23, -4)).toEqual({ x: 1.2, y: -4 });
  expect(shiftOf(object("rect", { x: 10, y: 20 }), 1, 1)).toEqual({ x: 11, y: 21 });
});

describe("scaling", () => {
  test("a box keeps the corner that the scaling comes from", () => {
    expect(scaleOf(object("rect", { x: 10, y: 10, width: 20, height: 5 }), DOUBLE)).toEqual({
      x: 20,
      y: 30,
      width: 40,
      height: 15,
    });
  });

  test("the ends of a line that was moved go where they are seen to go", () => {
    const line = object("line", { x: 10, y: 0, x1: 0, y1: 0, x2: 10, y2: 10 });
    expect(scaleOf(line, DOUBLE)).toEqual({ x1: 10, y1: 0, x2: 30, y2: 30 });
  });

  test("an arrow is drawn anew between its new ends", () => {
    const arrow = object("path", arrowProps({ x: 0, y: 0 }, { x: 100, y: 0 }, 2));
    const set = scaleOf(arrow, DOUBLE) ?? {};
    expect(set).toMatchObject({ x1: 0, y1: 0, x2: 200, y2: 0 });
    expect(withProps(arrow, set).props.d).toContain("200 0");
  });

  test("a stroke has its points scaled, and what it was moved by is in them", () => {
    const points: Point[] = [
      [0, 0, 0.5],
      [10, 10],
    ];
    const stroke = { ...object("stroke", { x: 5, y: 0, color: "red" }), points };
    const scaled = scaledStroke(stroke, DOUBLE);
    expect(scaled.points).toEqual([
      [10, 0, 0.5],
      [30, 30],
    ]);
    expect(scaled.props).toEqual({ color: "red" });
  });
});

test("the box of path data has all of its points in it", () => {
  expect(boxOfPath("M0 0L10 20")).toEqual({ minX: 0, minY: 0, maxX: 10, maxY: 20 });
  expect(boxOfPath("m5 5l10 0v-20h-30z")).toEqual({ minX: -15, minY: -15, maxX: 15, maxY: 5 });
  expect(boxOfPath("M0 0C0 50 50 50 50 0")?.maxY).toBe(50);
  expect(boxOfPath("M0 0")).toBeUndefined();
});

describe("ink", () => {
  test("a fast pen without pressure is a light one", () => {
    const line = (step: number) =>
      weighed(
        Array.from({ length: 30 }, (_, nth): Point => [nth * step, 0]),
        4,
      );
    const last = (step: number) => line(step).at(-1)?.[2] ?? 0;
    expect(last(20)).toBeLessThan(0.1);
    expect(last(0.5)).toBeGreaterThan(0.7);
  });

  test("long ways are divided, and end where they did", () => {
    const points: Point[] = [
      [0, 0, 0.2],
      [20, 0, 0.6],
    ];
    const out = weighed(points, 4);
    expect(out.length).toBeGreaterThan(3);
    expect(out.at(-1)).toEqual([20, 0, 0.4]);
  });
});
