// Folding: which ops are folds, what they close, and what is forgotten with it.

import { describe, expect, test } from "vitest";
import { Draft } from "../src/canvas/draft.js";
import type { CommittedOp, PendingOp } from "../src/index.js";
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

const nothing: Sent = { type: "custom.nothing", data: null };
const ids = (canvas: ReturnType<typeof drawn>) => Object.keys(canvas.registers().objects);
const props = (canvas: ReturnType<typeof drawn>) => canvas.view().objects.map((object) => object.props);

describe("a fold", () => {
  test("closes the units that began at or below its floor", () => {
    const canvas = drawn(create("a"), create("b"), create("c"), fold(2));
    expect(canvas.registers().floor).toBe(2);
    expect(Object.keys(canvas.registers().units)).toEqual([idOf(3)]);
    for (const revision of [1, 2, 3]) draw(canvas, undo(revision));
    expect(canvas.view().objects.map((object) => object.object_id)).toEqual(["a", "b"]);
  });

  test("closes a unit with all its ops, however late they joined", () => {
    const canvas = drawn(create("a"), nothing, update("a", { x: 1 }, 1), fold(1), undo(1));
    expect(props(canvas)).toEqual([{ x: 1 }]);
    expect(canvas.registers().objects.a?.props).toEqual({ x: [[3, null, 1]] });
  });

  test("leaves closed what was undone by then undone, and what was live live", () => {
    const canvas = drawn(create("a"), create("b"), undo(2), fold(2), redo(2), undo(1));
    expect(canvas.view().objects.map((object) => object.object_id)).toEqual(["a"]);
    expect(ids(canvas)).toEqual(["a"]);
  });

  test.each([0, 3, 7, -1, 1.5, "1", null, undefined])(
    "with the floor %j at revision 3 changes nothing",
    (floor) => {
      const canvas = drawn(create("a"), undo(1), { type: "fold", actor: "revcast:fold", floor });
      expect(canvas.revision).toBe(3);
      expect(canvas.registers().floor).toBe(0);
      expect(canvas.history("all").redoUnit).toBe(idOf(1));
    },
  );

  test("whose floor is not above that of the last valid one changes nothing", () => {
    const canvas = drawn(create("a"), create("b"), create("c"), fold(9), fold(2));
    const before = canvas.registers();
    for (const floor of [1, 2]) draw(canvas, fold(floor));
    expect(canvas.registers()).toEqual(before);
    draw(canvas, fold(3));
    expect(canvas.registers().floor).toBe(3);
  });

  test("counts whoever wrote it, belongs to no unit, and ends no redo", () => {
    const canvas = drawn(create("a"), create("b"), undo(2), by("alice", { ...fold(1), unit: idOf(2) }));
    expect(canvas.registers().floor).toBe(1);
    expect(canvas.registers().units[idOf(2)]?.touched).toBe(3);
    expect(canvas.history({ mine: "alice" })).toEqual({ undoUnit: null, redoUnit: idOf(2) });
  });

  test("happens at no revision by itself", () => {
    const canvas = drawn(create("a"));
    while (canvas.revision < 3000) draw(canvas, nothing);
    expect(canvas.registers().floor).toBe(0);
    expect(canvas.history("all").undoUnit).toBe(idOf(1));
  });

  test("changes nothing that is seen", () => {
    const canvas = drawn(create("a"), create("b"), erase("b"));
    const view = canvas.view();
    draw(canvas, fold(3));
    expect(canvas.view()).toBe(view);
    expect(canvas.registers().objects).toEqual({
      a: { exists: [[1, null, "create"]], kind: [[1, null, "rect"]] },
    });
  });

  test("drops open writes beneath a base, and the properties of the canvas that were undone", () => {
    const set = (set: object, unit?: number): Sent => ({
      type: "canvas.set",
      set,
      ...(unit === undefined ? {} : { unit: idOf(unit) }),
    });
    const canvas = drawn(
      set({ x: 1 }),
      set({ x: 2, y: 2 }),
      set({ x: 3 }, 1),
      set({ z: 4 }),
      undo(4),
      fold(1),
    );
    expect(canvas.registers().canvas).toEqual({
      x: [[3, null, 3]],
      y: [[2, idOf(2), 2]],
      z: [[4, idOf(4), 4]],
    });
    draw(canvas, fold(4));
    expect(canvas.registers().canvas).toEqual({ x: [[3, null, 3]], y: [[2, null, 2]] });
  });

  test("an op that names a closed unit begins one of that id anew", () => {
    const canvas = drawn(create("a", { x: 0 }), fold(1), update("a", { x: 1 }, 1));
    expect(canvas.registers().units[idOf(1)]?.first).toBe(3);
    draw(canvas, undo(1));
    expect(props(canvas)).toEqual([{ x: 0 }]);
  });
});

describe("an object is forgotten", () => {
  test("if a closed delete decides", () => {
    const canvas = drawn(create("a", { x: 1 }), erase("a"), fold(2));
    expect(ids(canvas)).toEqual([]);
    draw(canvas, create("a"));
    expect(props(canvas)).toEqual([{}]);
  });

  test("if a closed clear hides it, and not while the clear is open", () => {
    const canvas = drawn(create("a"), clear, create("b"), fold(1));
    expect(ids(canvas)).toEqual(["a", "b"]);
    draw(canvas, fold(2));
    expect(ids(canvas)).toEqual(["b"]);
  });

  test("if nothing is left to its existence: updates of what never was go once they are closed", () => {
    const canvas = drawn(
      update("a", { x: 1 }),
      create("b"),
      undo(2),
      update("b", { x: 1 }),
      update("b", { y: 1 }),
    );
    draw(canvas, fold(4));
    expect(canvas.registers().objects).toEqual({ b: { props: { y: [[5, idOf(5), 1]] } } });
    draw(canvas, fold(5));
    expect(ids(canvas)).toEqual([]);
  });

  test("with its closed writes only: what open units wrote is there when it is created again", () => {
    const canvas = drawn(create("a", { x: 1 }), erase("a"), update("a", { y: 2 }), fold(2), create("a"));
    expect(props(canvas)).toEqual([{ y: 2 }]);
  });

  test("with the points of a stroke, of which none is left to one that begins anew", () => {
    const begin = { type: "stroke.begin", object_id: "s", tool: "pen", props: {}, points: [[1, 1]] };
    const append = { type: "stroke.append", object_id: "s", index: 1, points: [[2, 2]] };
    const canvas = drawn(begin, append, erase("s"), fold(3), begin);
    expect(canvas.view().objects[0]?.points).toEqual([[1, 1]]);
  });

  const kept: [string, Sent[]][] = [
    [
      "an open create above the delete",
      [create("a", { x: 1 }), erase("a"), create("a"), undo(3), fold(2), redo(3)],
    ],
    [
      "an open delete above the delete",
      [create("a", { x: 1 }), erase("a"), erase("a"), undo(3), fold(2), create("a")],
    ],
    [
      "an open create above the clear",
      [create("a", { x: 1 }), clear, create("a"), undo(3), fold(2), redo(3)],
    ],
    [
      "an open create below the clear",
      [create("a", { x: 1 }), create("a"), undo(2), clear, fold(1), undo(4), redo(2)],
    ],
  ];
  test.each(kept)("but not while %s is undone", (_, ops) => {
    expect(props(drawn(...ops))).toEqual([{ x: 1 }]);
  });

  test("so that Carol's redo shows what Bob has made and deleted, with his units closed", () => {
    const canvas = drawn(
      by("bob", create("a")),
      by("bob", update("a", { color: "red" })),
      by("bob", erase("a")),
      by("carol", create("a")),
      by("carol", undo(4)),
      fold(3),
    );
    expect(canvas.view().objects).toEqual([]);
    draw(canvas, by("carol", redo(4)));
    expect(props(canvas)).toEqual([{ color: "red" }]);
  });
});

test("what is pending stands anew on a fold", () => {
  const draft = new Draft("alice");
  const committed = (op: Sent, revision: number) =>
    ({ actor: "alice", ts: revision, op_id: idOf(revision), ...op, revision }) as CommittedOp;
  const pending = (op: Sent, n: number) => ({ op_id: idOf(n), ...op }) as PendingOp;
  draft.confirm([committed(create("a", { x: 0 }), 1), committed(update("a", { x: 1 }), 2)]);
  draft.put(pending(undo(2), 100));
  draft.put(pending(update("a", { y: 1 }, 1), 101));
  expect(draft.view().objects[0]?.props).toEqual({ x: 0, y: 1 });
  expect(draft.history("all")).toEqual({ undoUnit: idOf(1), redoUnit: idOf(2) });
  draft.confirm([committed(fold(2), 3)]);
  expect(draft.view().objects[0]?.props).toEqual({ x: 1, y: 1 });
  expect(draft.history("all")).toEqual({ undoUnit: idOf(1), redoUnit: null });
});
