// Edits: what ops they become, whatever the size of what was drawn.

import { expect, test, vi } from "vitest";
import { Edits } from "../src/edits.js";
import { createClient, type NewOp, type PendingOp, type Point } from "../src/index.js";
import { MAX_DELETED, MAX_POINTS_BYTES } from "../src/limits.js";

const OP_BYTES = 64 * 1024;

class Recorded extends Edits {
  readonly made: PendingOp[] = [];
  mayDraw = true;

  override editAll(ops: readonly NewOp[]): readonly string[] {
    const named = this.name(ops);
    this.made.push(...named);
    return named.map(({ op_id }) => op_id);
  }

  protected override isAllowed(): boolean {
    return this.mayDraw;
  }

  protected override extend(): boolean {
    return false;
  }

  sizes(): number[] {
    return this.made.map((op) => JSON.stringify(op).length);
  }

  points(): Point[] {
    return this.made.flatMap((op) => ("points" in op ? op.points : []));
  }
}

/** As a mouse on a zoomed canvas makes them: numbers of 17 digits. */
const points = (count: number): Point[] =>
  Array.from({ length: count }, (_, i) => [Math.sin(i) * 1000, Math.cos(i) * 1000, Math.abs(Math.sin(i))]);

test("points of many digits become as many ops as it takes", () => {
  const drawing = new Recorded();
  const many = points(20_000);
  const stroke = drawing.beginStroke({ tool: "pen", points: many.slice(0, 10_000) });
  stroke.append(many.slice(10_000));
  stroke.end();
  expect(drawing.points()).toEqual(many);
  expect(Math.max(...drawing.sizes())).toBeLessThan(OP_BYTES);
  expect(Math.max(...drawing.sizes())).toBeGreaterThan(MAX_POINTS_BYTES - 100);
  expect(drawing.made.at(-1)).toMatchObject({ type: "stroke.end", count: drawing.made.length - 2 });
});

test("a stroke that must not go on for a while has no gap in it", () => {
  const drawing = new Recorded();
  const stroke = drawing.beginStroke({ tool: "pen" });
  stroke.append([[1, 1]]);
  drawing.mayDraw = false;
  stroke.append([[2, 2]]);
  drawing.mayDraw = true;
  stroke.append([[3, 3]]);
  stroke.end();
  expect(drawing.made.slice(1)).toMatchObject([
    { index: 1, points: [[1, 1]] },
    { index: 2, points: [[3, 3]] },
    { count: 2 },
  ]);
});

test("many objects are deleted by several ops of one unit", () => {
  const drawing = new Recorded();
  const ids = Array.from({ length: 10_000 }, (_, i) => `${i}`.padStart(64, "x"));
  const first = drawing.deleteObjects(ids);
  expect(drawing.made.flatMap((op) => (op.type === "object.delete" ? op.object_ids : []))).toEqual(ids);
  expect(drawing.made.length).toBe(Math.ceil(ids.length / MAX_DELETED));
  expect(Math.max(...drawing.sizes())).toBeLessThan(OP_BYTES);
  expect(drawing.made[0]?.op_id).toBe(first);
  expect(new Set(drawing.made.map((op) => op.unit))).toEqual(new Set([first]));
});

/** Whose user is not known yet. */
function opened() {
  const getToken = vi.fn(() => new Promise<string>(() => {}));
  const client = createClient({ url: "http://test", getToken, storage: "memory" });
  return { client, drawing: client.open("01980000-0000-7000-8000-000000000001"), getToken };
}

test("an op is what it was when it was made, as JSON tells it", async () => {
  const { client, drawing } = opened();
  const props = { x: 1, y: Number.NaN, inner: { a: 1 } };
  drawing.createObject({ kind: "rect", props });
  props.x = 2;
  props.inner.a = 2;
  expect(drawing.view().objects[0]?.props).toEqual({ x: 1, y: null, inner: { a: 1 } });
  const pointer: [number, number] = [0, 0];
  const stroke = drawing.beginStroke({ tool: "pen", points: [pointer] });
  pointer[0] = 5;
  stroke.append([pointer]);
  pointer[0] = 6;
  expect(drawing.view().objects[1]?.points).toEqual([
    [0, 0],
    [5, 0],
  ]);
  // It would wait for the token.
  void client.close();
});

test("a stroke that is drawn before there is a token is few ops", async () => {
  const { client, drawing } = opened();
  const stroke = drawing.beginStroke({ tool: "pen" });
  for (const point of points(2_000)) stroke.append([point]);
  stroke.end();
  expect(drawing.pendingCount).toBe(12);
  expect(drawing.view().objects[0]).toMatchObject({ points: points(2_000), complete: true });
  // It would wait for the token.
  void client.close();
});

test("what is no JSON is refused at once, and spoils nothing", async () => {
  const { client, drawing } = opened();
  const cycle: Record<string, never> = {};
  Object.assign(cycle, { cycle });
  expect(() => drawing.createObject({ kind: "rect", props: cycle })).toThrow(TypeError);
  drawing.createObject({ kind: "rect" });
  expect(drawing.pendingCount).toBe(1);
  expect(drawing.view().objects).toHaveLength(1);
  // It would wait for the token.
  void client.close();
});

test("a token that never comes is asked for again", async () => {
  vi.useFakeTimers();
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const ended = new AbortController();
    setTimeout(() => ended.abort(new DOMException("too late", "TimeoutError")), ms);
    return ended.signal;
  });
  try {
    const { client, drawing, getToken } = opened();
    const token = `x.${btoa(JSON.stringify({ sub: "alice" }))}.x`;
    await vi.advanceTimersByTimeAsync(1);
    expect(drawing.userId).toBeUndefined();
    getToken.mockImplementation(async () => token);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(drawing.userId).toBe("alice");
    await client.close();
  } finally {
    vi.restoreAllMocks();
    vi.useRealTimers();
  }
});
