// Values as JSON tells them.

import { expect, test } from "vitest";
import { asJson } from "../src/json.js";

class Place {
  readonly x = 1;
}

test.each([
  [
    {
      x: 1,
      y: -0,
      z: Number.NaN,
      points: [[1, 2, Number.POSITIVE_INFINITY], []],
      is: true,
      text: "\ud800",
      none: null,
    },
  ],
  [{ gone: undefined, inner: { gone: undefined, kept: 0 } }],
  [{ list: [undefined, () => 1, Symbol("s")], made() {} }],
  [{ at: new Date(0), map: new Map([[1, 2]]), place: new Place(), boxed: Object(1) }],
  [{ toJSON: () => ({ told: true }) }],
  [Object.assign([1], { toJSON: () => "told" })],
  [JSON.parse('{"__proto__":{"x":1},"constructor":2}')],
  [Object.assign(Object.create(null), { x: 1 })],
  [Array.from({ length: 100 }).reduce((inner) => [inner], 1)],
  [["a", 1, false, null]],
])("%o is as if spelled and read", (value) => {
  const copy = asJson(value);
  const read = JSON.parse(JSON.stringify(value));
  expect(copy).toStrictEqual(read);
  expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
});

test("what the caller changes later is not in it", () => {
  const value = { props: { points: [[1, 2]] } };
  const copy = asJson(value);
  value.props.points[0]?.push(3);
  value.props.points.push([4, 5]);
  expect(copy).toEqual({ props: { points: [[1, 2]] } });
});

test("what JSON cannot hold is refused", () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  expect(() => asJson(cycle)).toThrow(TypeError);
  expect(() => asJson({ x: 1n })).toThrow(TypeError);
});
