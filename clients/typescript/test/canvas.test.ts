import { describe, expect, test } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { Canvas, InvalidRegistersError, type Registers, UnknownFormatError } from "../src/index.js";
import { create, draw, drawn, idOf, type Sent, undo, update } from "./support/draw.js";

describe("registers", () => {
  test("the hash of an empty canvas is that of every reader", () => {
    const canvas = new Canvas();
    expect(canvas.canonicalView()).toBe('{"canvas":{},"objects":[]}');
    expect(canvas.stateHash()).toBe("01fb7018c4e71156b3439813bedb7c2d56f2d1f7e0e35fcf4fb924aa4f45f5f9");
    expect(canvas.registers()).toEqual(NO_REGISTERS);
  });

  test("a drag of a thousand updates in one unit keeps one write", () => {
    const canvas = drawn(create("a", { x: 0 }));
    const unit = idOf(2);
    for (let x = 1; x <= 1000; x += 1) draw(canvas, update("a", { x }, x === 1 ? undefined : 2));
    expect(canvas.registers().objects.a?.props).toEqual({
      x: [
        [1, idOf(1), 0],
        [1001, unit, 1000],
      ],
    });
    draw(canvas, undo(2));
    expect(canvas.view().objects[0]?.props).toEqual({ x: 0 });
  });

  test("are the same in steps, of which none is of more than some hundreds of objects", () => {
    const canvas = drawn(...Array.from({ length: 1_200 }, (_, n) => create(`o${n}`, { x: n })));
    const steps = canvas.registersInSteps();
    let [count, step] = [1, steps.next()];
    for (; !step.done; count += 1) step = steps.next();
    expect(count).toBe(3);
    expect(step.value).toEqual(canvas.registers());
    expect(Object.keys(canvas.registers().objects)).toHaveLength(1_200);
  });

  test("an update that writes nothing leaves nothing", () => {
    expect(drawn(update("a", {})).registers().objects).toEqual({});
  });

  test("registers that contradict themselves are refused", () => {
    const unit = { first: 1, actor: "alice", draws: true, touched: 1 };
    const rows: Partial<Registers>[] = [
      { canvas: { x: [[1, idOf(1), 1]] } },
      { canvas: { x: [[3, null, 1]] } },
      {
        clear: [
          [2, null],
          [1, null],
        ],
      },
      {
        clear: [
          [1, idOf(1)],
          [2, idOf(1)],
        ],
        units: { [idOf(1)]: unit },
      },
      { units: { [idOf(1)]: unit, [idOf(2)]: unit } },
      { units: { [idOf(1)]: { ...unit, undone: [1, true] } } },
      { units: { [idOf(1)]: unit }, floor: 1 },
      { units: { [idOf(1)]: { ...unit, touched: undefined as unknown as number } } },
      { floor: 2 },
      { floor: -1 },
      { floor: 0.5 },
    ];
    for (const row of rows) {
      const registers = { ...NO_REGISTERS, ...row };
      expect(() => Canvas.fromSnapshot({ revision: 2, registers })).toThrow(InvalidRegistersError);
    }
  });

  test.each([undefined, 1, 3, "2"])(
    "those of the format %j are refused, by a word about the format",
    (format) => {
      const registers = { ...NO_REGISTERS, format } as Registers;
      const read = () => Canvas.fromSnapshot({ revision: 2, registers });
      expect(read).toThrow(UnknownFormatError);
      expect(read).toThrow(/this version reads format 2/);
      if (format === 3) expect(read).toThrow(/format 3.*a newer version is needed/);
    },
  );

  test("a unit was touched when an op, an undo or a redo named it last, also one that changed nothing", () => {
    const canvas = drawn(create("a"));
    const touched = () => canvas.registers().units[idOf(1)]?.touched;
    const rows: Sent[] = [
      { ...update("a", { x: 1 }, 1), ts: 100 },
      { ...undo(1), ts: 200 },
      { ...undo(1), ts: 300 },
      { type: "custom.ping", data: 1, unit: idOf(1), ts: 400 },
    ];
    expect(touched()).toBe(1);
    for (const op of rows) {
      draw(canvas, op);
      expect(touched()).toBe(op.ts);
    }
    draw(canvas, { ...create("b"), ts: 500 });
    expect(touched()).toBe(400);
  });

  test("ops of the server begin no unit", () => {
    const types = ["fold", "lesson.start", "step.submit", "step.change", "score.update"];
    const canvas = drawn(...types.map((type) => ({ type })));
    expect(canvas.registers()).toEqual(NO_REGISTERS);
  });
});

describe("what cannot be read", () => {
  const rows: Sent[] = [
    { type: "tomorrow.draw", object_id: "a" },
    { type: "constructor" },
    { type: "object.create", object_id: "b", props: {} },
    { type: "object.create", object_id: "b c", kind: "rect", props: {} },
    { type: "object.update", object_id: "a", z: null },
    { type: "object.update", object_id: "a", set: [] },
    { type: "stroke.append", object_id: "a", index: 0, points: [] },
    { type: "stroke.append", object_id: "a", index: 1.5, points: [] },
    { type: "stroke.append", object_id: "a", index: 1, points: [[1]] },
    { type: "stroke.end", object_id: "a", count: -1 },
    { type: "undo" },
  ];

  test.each(rows)("it only joins its unit (%#)", (op) => {
    const canvas = drawn(create("a"));
    const { objects } = canvas.registers();
    const view = canvas.view();
    draw(canvas, op);
    expect(canvas.revision).toBe(2);
    expect(canvas.view()).toBe(view);
    expect(canvas.registers().objects).toEqual(objects);
    expect(canvas.registers().units[idOf(2)]).toEqual({ first: 2, actor: "alice", draws: false, touched: 2 });
  });
});

describe("identity", () => {
  const byId = (canvas: Canvas) => new Map(canvas.view().objects.map((object) => [object.object_id, object]));

  test("a view to which nothing happened is the same", () => {
    const canvas = drawn(create("a"), { type: "canvas.set", set: { background: "#fff" } });
    const view = canvas.view();
    draw(canvas, { type: "custom.ping", data: 1 });
    draw(canvas, { type: "redo", unit: idOf(1) });
    expect(canvas.view()).toBe(view);
  });

  test("only what was written to becomes another object", () => {
    const canvas = drawn(create("a"), create("b"), create("c"));
    const before = byId(canvas);
    const { canvas: settings } = canvas.view();
    draw(canvas, update("b", { x: 1 }));
    const after = byId(canvas);
    expect(after.get("a")).toBe(before.get("a"));
    expect(after.get("c")).toBe(before.get("c"));
    expect(after.get("b")).not.toBe(before.get("b"));
    expect(after.get("b")?.props).toEqual({ x: 1 });
    expect(canvas.view().canvas).toBe(settings);
  });

  test("an undo changes what its unit has written to", () => {
    const canvas = drawn(create("a"), create("b"), update("b", { x: 1 }));
    const before = byId(canvas);
    draw(canvas, undo(3));
    const after = byId(canvas);
    expect(after.get("a")).toBe(before.get("a"));
    expect(after.get("b")?.props).toEqual({});
  });

  test("a clear and its undo hide and show", () => {
    const canvas = drawn(create("a"), { type: "canvas.clear" }, create("b"));
    const before = byId(canvas);
    expect([...before.keys()]).toEqual(["b"]);
    draw(canvas, undo(2));
    const after = byId(canvas);
    expect([...after.keys()]).toEqual(["a", "b"]);
    expect(after.get("b")).toBe(before.get("b"));
  });

  test("a view that was given out does not change", () => {
    const canvas = drawn(create("a"), create("b"));
    const view = canvas.view();
    draw(canvas, { type: "object.update", object_id: "a", z: "z" });
    draw(canvas, create("c"));
    expect(view.objects.map((object) => object.object_id)).toEqual(["a", "b"]);
    expect(canvas.view().objects.map((object) => object.object_id)).toEqual(["b", "c", "a"]);
  });

  test("hundreds of objects that change at once come to stand in order", () => {
    const ids = Array.from({ length: 600 }, (_, index) => `o${index}`);
    const canvas = drawn(...ids.map((id) => create(id)));
    const before = byId(canvas);
    for (const object_id of ids.slice(0, 500)) draw(canvas, { type: "object.update", object_id, z: "z" });
    const after = byId(canvas);
    expect([...after.keys()]).toEqual([...ids.slice(500), ...ids.slice(0, 500)]);
    for (const id of ids.slice(500)) expect(after.get(id)).toBe(before.get(id));
  });
});
