// What a look at the picture costs while much is pending: as much as has changed, not as much as there is.

import { expect, test, vi } from "vitest";
import { Draft } from "../src/canvas/draft.js";
import { renderObject, renderProps } from "../src/canvas/render.js";
import type { CommittedOp, PendingOp } from "../src/index.js";

vi.mock("../src/canvas/render.js", async (load) => {
  const actual = await load<typeof import("../src/canvas/render.js")>();
  return { ...actual, renderObject: vi.fn(actual.renderObject), renderProps: vi.fn(actual.renderProps) };
});

const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const update = (n: number, object_id: string, x: number): PendingOp => ({
  op_id: id(n),
  type: "object.update",
  object_id,
  set: { x },
});
const committed = (op: PendingOp, revision: number): CommittedOp => ({
  ...op,
  revision,
  actor: "bob",
  ts: 0,
});

/** Objects `o1` to `o100`; updates of the first fifty of them are pending. */
function draftOfMany(): Draft {
  const draft = new Draft("alice");
  for (let n = 1; n <= 100; n += 1) {
    const create: PendingOp = {
      op_id: id(n),
      type: "object.create",
      object_id: `o${n}`,
      kind: "rect",
      props: {},
    };
    draft.confirm([committed(create, n)]);
  }
  for (let n = 1; n <= 50; n += 1) draft.put(update(1000 + n, `o${n}`, n));
  draft.view();
  vi.mocked(renderObject).mockClear();
  return draft;
}

test("an edit renders the object that it touches", () => {
  const draft = draftOfMany();
  draft.put({ op_id: id(2000), type: "object.update", object_id: "o7", z: "b" });
  expect(draft.view().objects.at(-1)).toMatchObject({ object_id: "o7", z: "b", props: { x: 7 } });
  expect(renderObject).toHaveBeenCalledTimes(1);
});

test("an edit of properties looks at these alone", () => {
  const draft = draftOfMany();
  const before = draft.view().objects;
  vi.mocked(renderProps).mockClear();
  for (let n = 1; n <= 100; n += 1) draft.put(update(2000 + n, `o${n}`, 7));
  const { objects } = draft.view();
  expect(objects.map(({ props }) => props.x)).toEqual(Array(100).fill(7));
  // It looks as it did.
  expect(objects[6]).toBe(before[6]);
  expect(renderObject).not.toHaveBeenCalled();
  expect(renderProps).not.toHaveBeenCalled();
});

test("so does an op of somebody else that meets none of those that are pending", () => {
  const draft = draftOfMany();
  draft.confirm([committed(update(2000, "o70", 1), 101)]);
  expect(draft.view().objects[69]?.props).toEqual({ x: 1 });
  expect(renderObject).not.toHaveBeenCalled();
});

test("an object that is gone does not come back by an edit of its properties", () => {
  const draft = draftOfMany();
  draft.put({ op_id: id(2000), type: "object.delete", object_ids: ["o70"] });
  expect(draft.view().objects).toHaveLength(99);
  draft.put(update(2001, "o70", 1));
  expect(draft.view().objects).toHaveLength(99);
  draft.put({ op_id: id(2002), type: "canvas.clear" });
  draft.put(update(2003, "o80", 1));
  expect(draft.view().objects).toEqual([]);
  draft.put({ op_id: id(2004), type: "undo", unit: id(2002) });
  expect(draft.view().objects).toHaveLength(99);
  expect(draft.view().objects[78]).toMatchObject({ object_id: "o80", props: { x: 1 } });
});

test("properties that are unset, undone or of any name are seen as they are", () => {
  const draft = draftOfMany();
  const named = JSON.parse('{"__proto__":1,"constructor":2,"y":3}');
  draft.put({ op_id: id(2000), type: "object.update", object_id: "o70", set: named });
  const [own] = draft.view().objects.filter(({ object_id }) => object_id === "o70");
  expect(Object.entries(own?.props ?? {}).sort()).toEqual(Object.entries(named).sort());
  const unset = ["__proto__", "y"];
  draft.put({ op_id: id(2001), type: "object.update", object_id: "o70", unset });
  expect(draft.view().objects[69]?.props).toEqual({ constructor: 2 });
  draft.put({ op_id: id(2002), type: "undo", unit: id(2001) });
  expect(Object.keys(draft.view().objects[69]?.props ?? {})).toHaveLength(3);
});

test("an object that was created meanwhile stands beneath those that are pending", () => {
  const draft = draftOfMany();
  const create = (n: number): PendingOp => ({
    op_id: id(n),
    type: "object.create",
    object_id: `o${n}`,
    kind: "rect",
    props: {},
  });
  draft.put(create(2001));
  draft.view();
  draft.confirm([committed(create(2002), 101)]);
  expect(
    draft
      .view()
      .objects.slice(-2)
      .map((object) => object.object_id),
  ).toEqual(["o2002", "o2001"]);
});

test("the order of what is pending is told again, and nothing is rendered", () => {
  const draft = draftOfMany();
  draft.arrange(Array.from({ length: 50 }, (_, n) => update(1001 + n, `o${n + 1}`, n + 1)));
  draft.view();
  expect(renderObject).not.toHaveBeenCalled();
});
