// The scene tells what has to be painted again, and no more.

import { beforeEach, describe, expect, test } from "vitest";
import { colourOfUser, initialsOf } from "../src/presence/colour.js";
import { cursorOf, editingOf, selectionOf, stateOf, viewportIn } from "../src/presence/state.js";
import type { ViewObject } from "../src/revcast.js";
import { Grid } from "../src/scene/grid.js";
import { Scene } from "../src/scene/scene.js";

const rect = (id: string, x: number): ViewObject => ({
  object_id: id,
  kind: "rect",
  z: "",
  props: { x, y: 0, width: 10, height: 10 },
});
const stroke = (id: string, complete: boolean): ViewObject => ({
  object_id: id,
  kind: "stroke",
  z: "",
  tool: "pen",
  props: {},
  points: [
    [0, 0],
    [5, 5],
  ],
  complete,
});

describe("scene", () => {
  let scene: Scene;
  const [a, b] = [rect("a", 0), rect("b", 100)];
  beforeEach(() => {
    scene = new Scene();
    scene.sync([a, b], 0);
  });

  test("what is new in front is painted on top", () => {
    const changes = scene.sync([a, b, rect("c", 200)], 1);
    expect(changes.boxes).toEqual([]);
    expect(changes.onTop.map(({ object }) => object.object_id)).toEqual(["c"]);
  });

  test("what is new behind needs its surroundings painted", () => {
    const changes = scene.sync([rect("c", 200), a, b], 1);
    expect(changes.onTop).toEqual([]);
    expect(changes.boxes).toHaveLength(1);
  });

  test("what has gone or moved leaves a hole", () => {
    expect(scene.sync([b], 1).boxes).toHaveLength(1);
    expect(scene.sync([rect("b", 300)], 2).boxes).toHaveLength(1);
    expect(scene.at({ x: 100, y: 5 }, 1)).toEqual([]);
    expect(scene.at({ x: 300, y: 5 }, 1)).toHaveLength(1);
  });

  test("what changes places is painted again", () => {
    const changes = scene.sync([b, a], 1);
    expect(changes.boxes.length + changes.onTop.length).toBeGreaterThan(0);
    expect(scene.within({ minX: -50, minY: -50, maxX: 500, maxY: 50 }).map(({ object }) => object)).toEqual([
      b,
      a,
    ]);
  });

  test("a stroke is in the moving layer until it is complete, and is then painted on top", () => {
    expect(scene.sync([a, b, stroke("s", false)], 1).onTop).toEqual([]);
    expect(scene.moving).toHaveLength(1);
    const changes = scene.sync([a, b, stroke("s", true)], 2);
    expect(scene.moving).toEqual([]);
    expect(changes.onTop).toHaveLength(1);
    expect(changes.boxes).toEqual([]);
  });

  test("a stroke that nobody goes on with settles", () => {
    scene.sync([a, b, stroke("s", false)], 1_000);
    expect(scene.settle(2_000).boxes).toEqual([]);
    expect(scene.settle(60_000).boxes).toHaveLength(1);
    expect(scene.moving).toEqual([]);
  });

  test("what is lifted is not in the still layer, and comes back", () => {
    const all = { minX: -50, minY: -50, maxX: 500, maxY: 50 };
    expect(scene.lift(new Set(["a"])).boxes).toHaveLength(1);
    expect(scene.still(all)).toHaveLength(1);
    expect(scene.lift(new Set()).boxes).toHaveLength(1);
    expect(scene.still(all)).toHaveLength(2);
  });
});

test("the grid finds what touches a box, small and large, each once", () => {
  const grid = new Grid<{ box: { minX: number; minY: number; maxX: number; maxY: number } }>();
  const box = (minX: number, minY: number, maxX: number, maxY: number) => ({
    box: { minX, minY, maxX, maxY },
  });
  const [small, wide, huge] = [box(0, 0, 5, 5), box(-600, 0, 600, 5), box(-1e6, -1e6, 1e6, 1e6)];
  for (const thing of [small, wide, huge]) grid.add(thing);
  expect(new Set(grid.query(box(1, 1, 2, 2).box))).toEqual(new Set([small, wide, huge]));
  expect(new Set(grid.query(box(550, 1, 560, 2).box))).toEqual(new Set([wide, huge]));
  grid.remove(huge);
  expect(grid.query(box(-1e7, -1e7, 1e7, 1e7).box)).toHaveLength(2);
});

describe("presence", () => {
  const viewport = { minX: 0.4, minY: 0, maxX: 1280, maxY: 800 };
  test("a state fits into 1 KiB, however much is selected", () => {
    const selection = Array.from({ length: 500 }, (_, nth) => `${nth}`.padStart(64, "x"));
    const state = stateOf({
      cursor: { x: 1e6, y: -1e6 },
      viewport,
      selection,
      tool: "select",
      colour: "#000000",
      editing: "x".repeat(64),
    });
    expect(JSON.stringify(state).length).toBeLessThan(1_024);
  });

  test("a state is read as it was written, and anything else as nothing", () => {
    const mine = { viewport, selection: ["a"], tool: "pen", colour: "red", editing: "b" };
    const state = stateOf({ ...mine, cursor: { x: 3, y: 4 } });
    expect(cursorOf(state)).toEqual({ x: 3, y: 4 });
    expect(viewportIn(state)).toEqual({ minX: 0, minY: 0, maxX: 1280, maxY: 800 });
    expect(selectionOf(state)).toEqual(["a"]);
    expect(editingOf(state)).toBe("b");
    for (const other of [null, undefined, {}, { cursor: "x", viewport: [1, 2], selection: [1, null] }]) {
      expect(cursorOf(other)).toBeUndefined();
      expect(viewportIn(other)).toBeUndefined();
      expect(selectionOf(other)).toEqual([]);
      expect(editingOf(other)).toBeUndefined();
    }
  });

  test("a user has the same colour each time, and initials", () => {
    expect(colourOfUser("alice")).toBe(colourOfUser("alice"));
    expect(initialsOf("Alice Liddell")).toBe("AL");
    expect(initialsOf("bob")).toBe("B");
    expect(initialsOf("  ")).toBe("?");
  });
});
