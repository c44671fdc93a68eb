// Moving, scaling and quantizing.

import { describe, expect, test } from "vitest";
import { changed } from "../src/board/actions.js";
import type { JsonObject, Point, ViewObject } from "../src/revcast.js";
import { weighed } from "../src/scene/ink.js";
import { boxOfPath } from "../src/scene/kinds/line.js";
import { strokeShape } from "../src/scene/kinds/stroke.js";
import { arrowProps, scaleOf, shiftOf, withProps } from "../src/tools/change.js";
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

test("what an object has already does not change it", () => {
  const red = object("rect", { stroke: "red", fill: "none" });
  expect(changed(red, { stroke: "red", fill: "blue", strokeWidth: 2 })).toEqual({
    fill: "blue",
    strokeWidth: 2,
  });
  expect(changed(red, { stroke: "red" })).toEqual({});
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

  test("the points of a stroke that was moved and scaled go where they are seen to go", () => {
    const points: Point[] = [
      [0, 0, 0.5],
      [10, 10],
    ];
    const stroke = { ...object("stroke", { x: 5, y: 0, scaleX: 3, size: 2, color: "red" }), points };
    const set = scaleOf(stroke, DOUBLE);
    expect(set).toEqual({ x: 10, y: 0, scaleX: 6, scaleY: 3 });
    const reach = 1.5;
    expect(strokeShape(withProps(stroke, set))?.box).toEqual({
      minX: 10 - reach,
      minY: 0 - reach,
      maxX: 70 + reach,
      maxY: 30 + reach,
    });
    // Far from where its points are counted from, a small change is not lost.
    const far = scaleOf(stroke, { from: { x: 0, y: 0 }, x: 1.000_01, y: 1 });
    expect(far.scaleX).toBeCloseTo(3.000_03, 6);
  });

  test("a scaled stroke is hit where it is seen", () => {
    const points: Point[] = [
      [0, 0],
      [10, 0],
    ];
    const shape = strokeShape({ ...object("stroke", { scaleX: 10, x: 100 }), points });
    expect([150, 199, 210].map((x) => shape?.hit({ x, y: 0 }, 1))).toEqual([true, true, false]);
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
