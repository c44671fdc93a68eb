// The draft: what is pending stands on top of what is confirmed, as if it were the end of the log.

import { describe, expect, test } from "vitest";
import { canonical } from "../src/canvas/canonical.js";
import { Draft } from "../src/canvas/draft.js";
import type { CommittedOp, ObjectCreate, PendingOp, View } from "../src/index.js";
import { randomLog, randomOf } from "./support/random.js";
import { replay } from "./support/replay.js";

const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);
const ME = "alice";

/** Without what the server adds. */
function sent({ revision: _r, actor: _a, ts: _t, ...op }: CommittedOp): PendingOp {
  return op as PendingOp;
}

/** As the server would number them. */
function numbered(ops: readonly CommittedOp[]): CommittedOp[] {
  return ops.map((op, index) => ({ ...op, revision: index + 1 }));
}

const spelled = (view: View): string =>
  canonical({ canvas: view.canvas, objects: view.objects.map((o) => ({ ...o })) });

/** A log of one's own. */
function myLog(seed: number, options = {}): CommittedOp[] {
  return randomLog(seed, 120, options).map((op) => ({ ...op, actor: ME }));
}

describe("what is pending", () => {
  test.each(SEEDS)(
    "is seen as if it were the end of the log, however others draw meanwhile, seed %i",
    (seed) => {
      const random = randomOf(seed);
      const draft = new Draft(ME);
      const log: CommittedOp[] = [];
      let pending: CommittedOp[] = [];
      for (const op of myLog(seed)) {
        // Where it has landed in this log, its floor is another one.
        const floor = log.length - random(20);
        const isFold = op.type === "fold";
        if (isFold && floor > 0) {
          log.push({ ...op, floor });
          draft.confirm(numbered(log).slice(-1));
        }
        switch (isFold ? 2 : random(3)) {
          case 0:
            draft.put(sent(op));
            pending.push(op);
            break;
          case 1: {
            const first = pending.shift();
            if (first !== undefined) {
              log.push(first);
              draft.confirm(numbered(log).slice(-1));
            }
            break;
          }
        }
        if (!isFold && random(3) === 0 && !pending.includes(op)) {
          log.push(op);
          draft.confirm(numbered(log).slice(-1));
        }
        const expected = replay(numbered([...log, ...pending]));
        expect(spelled(draft.view())).toBe(expected.canonicalView());
        for (const scope of ["all", { mine: ME }] as const) {
          expect(draft.history(scope)).toEqual(expected.history(scope));
        }
        expect(draft.pendingCount).toBe(pending.length);
      }
      for (const op of pending) draft.remove(op.op_id);
      pending = [];
      expect(draft.view()).toBe(draft.confirmed.view());
    },
  );

  test("does not change the picture when it is confirmed", () => {
    const draft = new Draft(ME);
    const log = numbered(myLog(3, { hasFolds: false }));
    for (const op of log) draft.put(sent(op));
    const before = spelled(draft.view());
    for (const op of log) {
      draft.confirm([op]);
      expect(spelled(draft.view())).toBe(before);
    }
    expect(draft.pendingCount).toBe(0);
  });
});

const create = (op_id: string, object_id: string): PendingOp => ({
  op_id,
  type: "object.create",
  object_id,
  kind: "rect",
  props: {},
});
const id = (n: number) => `00000000-0000-7000-8000-00000000000${n}`;

test("an acknowledged op stays in the picture until the confirmed canvas has it", () => {
  const draft = new Draft(ME);
  draft.put(create(id(2), "mine"));
  draft.acknowledge(id(2), 2);
  expect(draft.view().objects.map((o) => o.object_id)).toEqual(["mine"]);
  draft.confirm([{ ...create(id(1), "theirs"), revision: 1, actor: "bob", ts: 1 }]);
  expect(draft.view().objects.map((o) => o.object_id)).toEqual(["theirs", "mine"]);
  expect(draft.pendingCount).toBe(1);
  draft.confirm([{ ...create(id(2), "mine"), revision: 2, actor: ME, ts: 2 }]);
  expect(draft.pendingCount).toBe(0);
});

test("an op that a snapshot has already is pending no more once it is acknowledged", () => {
  const draft = new Draft(ME);
  draft.put(create(id(1), "mine"));
  const { confirmed } = new Draft();
  confirmed.apply({ ...create(id(1), "mine"), revision: 1, actor: ME, ts: 1 });
  draft.reset({ revision: 1, registers: confirmed.registers() });
  expect(draft.pendingCount).toBe(1);
  draft.acknowledge(id(1), 1);
  expect(draft.pendingCount).toBe(0);
  expect(draft.view().objects).toHaveLength(1);
});

test("the case of the letters of an op id does not matter", () => {
  const draft = new Draft(ME);
  const mine = "00000000-0000-7000-8000-0000000000AB";
  draft.put(create(mine, "a"));
  draft.put(create(mine.replace("AB", "AC"), "b"));
  draft.put(create(mine.replace("AB", "AD"), "c"));
  draft.confirm([{ ...create(mine.toLowerCase(), "a"), revision: 1, actor: ME, ts: 1 }]);
  draft.acknowledge(mine.replace("AB", "ac"), 1);
  draft.remove(mine.replace("AB", "ad"));
  expect(draft.pendingCount).toBe(0);
});

test("what does not change stays the same JavaScript object", () => {
  const draft = new Draft(ME);
  draft.confirm([{ ...create(id(1), "a"), revision: 1, actor: "bob", ts: 1 }]);
  const [a] = draft.view().objects;
  draft.put(create(id(2), "b"));
  const [again, b] = draft.view().objects;
  expect(again).toBe(a);
  draft.put({ op_id: id(3), type: "object.update", object_id: "c", set: { x: 1 } });
  expect(draft.view().objects[1]).toBe(b);
  expect(draft.view()).toBe(draft.view());
  // Somebody else draws: mine is rendered anew, and found to look the same.
  draft.confirm([{ ...create(id(4), "d"), revision: 2, actor: "bob", ts: 2 }]);
  const objects = draft.view().objects;
  expect(objects.map((o) => o.object_id)).toEqual(["a", "d", "b"]);
  expect(objects[0]).toBe(a);
  expect(objects[2]).toBe(b);
});

test("a replaced op takes the place of the one before", () => {
  const draft = new Draft(ME);
  const update = (x: number): PendingOp => ({
    op_id: id(2),
    type: "object.update",
    object_id: "a",
    set: { x },
  });
  draft.put(create(id(1), "a"));
  draft.put(update(1));
  draft.view();
  draft.put(update(2));
  expect(draft.view().objects[0]?.props).toEqual({ x: 2 });
  expect(draft.pendingCount).toBe(2);
});

test("ops of another tab that were stored before mine stand beneath mine", () => {
  const draft = new Draft(ME);
  const update = (n: number, x: number): PendingOp => ({
    op_id: id(n),
    type: "object.update",
    object_id: "a",
    set: { x },
  });
  draft.confirm([{ ...create(id(1), "a"), revision: 1, actor: ME, ts: 1 }]);
  const [mine, theirs] = [update(2, 2), update(3, 3)];
  draft.put(mine);
  draft.put(theirs);
  expect(draft.view().objects[0]?.props).toEqual({ x: 3 });
  draft.arrange([theirs, mine]);
  expect(draft.view().objects[0]?.props).toEqual({ x: 2 });
  // What is in the log already stands before all, whatever is told of the others.
  draft.acknowledge(id(2), 5);
  draft.arrange([theirs]);
  expect(draft.view().objects[0]?.props).toEqual({ x: 3 });
  expect(draft.pendingCount).toBe(2);
});

test("what was acknowledged in an epoch that is over does not stay on top of the next one", () => {
  const [create, other] = myLog(1).filter((op): op is ObjectCreate => op.type === "object.create");
  if (create === undefined || other === undefined) throw new Error("the log creates nothing");
  const snapshot = { revision: 3, registers: new Draft().confirmed.registers() };
  const draft = new Draft(ME);
  draft.reset(snapshot, "one");
  draft.put(sent(create));
  draft.put(sent(other));
  draft.acknowledge(create.op_id, 9);
  draft.reset({ ...snapshot, revision: 4 }, "one");
  expect(draft.pendingCount).toBe(2);
  draft.reset(snapshot, "two");
  expect(draft.view().objects.map((object) => object.object_id)).toEqual([other.object_id]);
  expect(draft.pendingCount).toBe(1);
});

test("own ops that come back one after the other are not rendered with each", () => {
  const draft = new Draft(ME);
  const ops = Array.from({ length: 9 }, (_, index) => create(id(index + 1), `o${index}`));
  for (const op of ops) draft.put(op);
  const before = draft.view();
  const [all, mine] = [draft.history("all"), draft.history({ mine: ME })];
  for (const [index, op] of ops.slice(0, -1).entries()) {
    draft.confirm([{ ...op, unit: op.op_id, revision: index + 1, actor: ME, ts: index }]);
    expect(draft.view()).toBe(before);
    expect(draft.history("all")).toBe(all);
    expect(draft.history({ mine: ME })).toBe(mine);
  }
  // In the end what is confirmed is seen, made of the same objects.
  draft.confirm([{ ...(ops[8] as PendingOp), revision: 9, actor: ME, ts: 9 }]);
  expect(draft.view()).toBe(draft.confirmed.view());
  expect(draft.view().objects).toHaveLength(9);
  for (const [index, object] of draft.view().objects.entries()) expect(object).toBe(before.objects[index]);
});

test.each([
  ["is of another body", (op: PendingOp) => ({ ...op, props: { x: 1 } })],
  ["is of somebody else", (op: PendingOp) => ({ ...op, actor: "bob" })],
])("an op that comes back and %s is rendered", (_, other) => {
  const draft = new Draft(ME);
  draft.put(create(id(1), "a"));
  draft.put(create(id(2), "b"));
  const before = draft.view();
  const op = { revision: 1, actor: ME, ts: 1, ...other(create(id(1), "a")) } as CommittedOp;
  draft.confirm([op]);
  expect(draft.view()).not.toBe(before);
  expect(spelled(draft.view())).toBe(
    replay([op, { ...create(id(2), "b"), revision: 2, actor: ME, ts: 2 }]).canonicalView(),
  );
});
