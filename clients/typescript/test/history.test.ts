// Which unit undo and redo pick, and what it costs to find it.

import { afterEach, describe, expect, test, vi } from "vitest";
import { Chain } from "../src/canvas/chain.js";
import type { Canvas } from "../src/index.js";
import {
  by,
  clear,
  create,
  draw,
  drawn,
  erase,
  fold,
  idOf,
  redo,
  type Sent,
  undo,
  update,
} from "./support/draw.js";

/** Undoes what is picked until nothing is, then redoes likewise. Returns the revisions at which the units began. */
function thereAndBack(canvas: Canvas, scope: Parameters<Canvas["history"]>[0]): [number[], number[]] {
  const picked: [number[], number[]] = [[], []];
  for (const [index, type] of ["undo", "redo"].entries()) {
    for (;;) {
      const { undoUnit, redoUnit } = canvas.history(scope);
      const unit = type === "undo" ? undoUnit : redoUnit;
      if (unit === null) break;
      picked[index]?.push(canvas.registers().units[unit]?.first ?? 0);
      draw(canvas, { type, unit });
    }
  }
  return picked;
}

describe("a unit is picked", () => {
  const a = [create("a"), fold(1)];

  test("though another one hides it now, if it shows with all others in scope undone", () => {
    const canvas = drawn(...a, by("bob", update("a", { x: 5 })), by("carol", update("a", { x: 5 })));
    expect(thereAndBack(canvas, "all")).toEqual([
      [4, 3],
      [3, 4],
    ]);
  });

  test("of those of one actor, unless what others have done hides it", () => {
    const ops = [...a, update("a", { x: 1 }), update("a", { x: 1 })];
    expect(thereAndBack(drawn(...ops), { mine: "alice" })).toEqual([
      [4, 3],
      [3, 4],
    ]);
    for (const other of [update("a", { x: 2 }), erase("a"), clear]) {
      const hidden = drawn(...ops, by("bob", other));
      expect(thereAndBack(hidden, { mine: "alice" })).toEqual([[], []]);
      expect(thereAndBack(hidden, "all")).toEqual([
        [5, 4, 3],
        [3, 4, 5],
      ]);
    }
  });

  test("but not if the object that it changes is undone with all others", () => {
    const canvas = drawn(create("a"), update("a", { x: 5 }), update("a", { x: 5 }));
    expect(thereAndBack(canvas, "all")[0]).toEqual([1]);
  });

  test("if its clear hides an object that was created anew after the one that it had written to was forgotten", () => {
    const joining = (unit: number, op: Sent) => ({ ...op, unit: idOf(unit) });
    const canvas = drawn(
      create("a"),
      by("bob", update("a", { x: 0 })),
      update("a", { x: 1 }),
      by("bob", update("a", { x: 2 }, 2)),
      by("bob", joining(2, erase("a"))),
      fold(2),
    );
    expect(canvas.registers().objects).toEqual({});
    draw(canvas, by("bob", create("a")));
    draw(canvas, joining(3, clear));
    expect(canvas.history({ mine: "alice" }).undoUnit).toBe(idOf(3));
    const overlay = canvas.overlay();
    overlay.apply({ op_id: idOf(99), type: "custom.nothing", data: null }, "alice");
    expect(overlay.history({ mine: "alice" }).undoUnit).toBe(idOf(3));
  });

  test("in whichever way it shows", () => {
    const begin = { type: "stroke.begin", object_id: "s", tool: "pen", props: {}, points: [[1, 1]] };
    const append = (index: number, points: number[][]) => ({
      type: "stroke.append",
      object_id: "s",
      index,
      points,
    });
    const end = (count: number) => ({ type: "stroke.end", object_id: "s", count });
    const set = { type: "canvas.set", set: { background: "#fff" } };
    const rows: [Sent[], Sent, boolean][] = [
      [[begin], append(1, [[2, 2]]), true],
      [[begin], append(1, []), false],
      [[begin], append(2, [[2, 2]]), false],
      [[begin, append(2, [[3, 3]])], append(1, []), true],
      [[begin, append(1, [[2, 2]])], append(1, [[2, 2]]), false],
      [[begin], end(0), true],
      [[begin], end(1), false],
      [[begin, create("s")], append(1, [[2, 2]]), false],
      [[create("a")], create("a"), false],
      [[create("a"), create("b")], create("a"), true],
      [[create("a"), create("b")], create("b"), false],
      [[create("a")], { type: "object.update", object_id: "a", z: "" }, false],
      [[create("a")], { type: "object.update", object_id: "a", z: "b" }, true],
      [[create("a")], { type: "object.update", object_id: "a", unset: ["x"] }, false],
      [[create("a")], update("b", { x: 1 }), false],
      [[create("a")], clear, true],
      [[create("a"), erase("a")], clear, false],
      [[create("a"), clear], clear, false],
      [[], set, true],
      [[set], set, false],
      [[set], { type: "canvas.set", set: { background: "#000" } }, true],
      [[create("a")], { type: "custom.ping", data: 1 }, false],
    ];
    for (const [index, [ops, last, isSeen]] of rows.entries()) {
      const canvas = drawn(...ops.map((op) => by("bob", op)));
      draw(canvas, fold(canvas.revision - 1));
      draw(canvas, last);
      const unit = isSeen ? idOf(canvas.revision) : null;
      expect(canvas.history({ mine: "alice" }).undoUnit, `row ${index}`).toBe(unit);
      expect(canvas.history("all").undoUnit === unit || !isSeen, `row ${index}`).toBe(true);
    }
  });
});

describe("what it costs", () => {
  afterEach(() => vi.restoreAllMocks());

  /** How often a register was read. */
  function readsOf(act: () => void): number {
    const reads = (["top", "of", "last"] as const).map((name) => vi.spyOn(Chain.prototype, name));
    act();
    const count = reads.reduce((sum, read) => sum + read.mock.calls.length, 0);
    vi.restoreAllMocks();
    return count;
  }

  /** Of very many units none is picked, as what others have done hides them. */
  function hidden(units: number): Canvas {
    const canvas = drawn(by("bob", create("a")), by("bob", erase("a")));
    for (let x = 0; x < units; x += 1) draw(canvas, update("a", { x }));
    return canvas;
  }

  test("grows as the number of units that are asked, whether they write to one register or to many", () => {
    const [few, many] = [hidden(500), hidden(4000)];
    for (const scope of ["all", { mine: "alice" }] as const) {
      const read = (canvas: Canvas) => readsOf(() => canvas.history(scope));
      expect(read(many)).toBeLessThan(10 * read(few));
      expect(read(few)).toBeLessThan(20 * 500);
    }
  });

  test("is no more than asking one if the newest can be seen", () => {
    const canvas = drawn(create("a"));
    for (let x = 0; x < 2000; x += 1) draw(canvas, update("a", { x }));
    expect(readsOf(() => canvas.history("all"))).toBeLessThan(20);
    draw(canvas, undo(canvas.revision));
    expect(readsOf(() => canvas.history("all"))).toBeLessThan(40);
    draw(canvas, redo(canvas.revision - 1));
    expect(canvas.history("all").undoUnit).toBe(idOf(canvas.revision - 2));
  });
});
