// How long a page stands still when thousands of selected objects are moved at once, on a real server.
//
// The page is one as the whiteboard: with each change it looks at the picture and at what can be undone. What counts is the
// longest time in which nothing else could run: of the edit itself, and of all that follows from it until it is saved.

import "fake-indexeddb/auto";
import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import WebSocket from "ws";
import { createClient, type Drawing } from "../src/index.js";
import { startTestbed } from "../test/server/testbed.js";

/** Of objects, and the milliseconds for which their move may block the page. */
const CASES: readonly (readonly [objects: number, limit: number])[] = [
  [1_600, 100],
  [5_000, 300],
];

/** What the user interface reads whenever something has changed. */
function watch(drawing: Drawing): { readonly calls: number; end(): void } {
  const told = { calls: 0, end: () => {} };
  const off = [
    drawing.onChange(() => {
      told.calls += 1;
      drawing.view();
      drawing.history("mine");
      drawing.history("all");
    }),
    drawing.onSync(() => drawing.pendingCount),
  ];
  told.end = () => {
    for (const end of off) end();
  };
  return told;
}

/** The longest time between two turns of the event loop from now on. */
function watchTurns(): () => { longest: number; total: number } {
  let [last, longest, total, isOver] = [performance.now(), 0, 0, false];
  const turn = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    if (now - last > 5) total += now - last;
    last = now;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    isOver = true;
    return { longest, total };
  };
}

test.each(CASES)("a nudge of %i objects blocks the page for less than %i ms", async (count, limit) => {
  const testbed = await startTestbed({ flags: ["--write-ops-per-second", "1000000"] });
  const alice = await testbed.person("alice");
  const id = await testbed.createDrawing(alice);
  for (let from = 0; from < count; from += 500) {
    const ops = Array.from({ length: Math.min(500, count - from) }, (_, index) => ({
      op_id: crypto.randomUUID(),
      type: "object.create",
      object_id: `o${from + index}`,
      kind: "rect",
      props: { x: from + index, y: 0, w: 10, h: 10, color: "#06c" },
    }));
    await testbed.commit(alice, id, ops);
  }
  const client = createClient({
    url: testbed.url,
    getToken: () => alice.token,
    WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
  });
  const drawing = client.open(id);
  await expect.poll(() => drawing.view().objects.length, { timeout: 20_000 }).toBe(count);
  await expect.poll(() => drawing.connection, { timeout: 20_000 }).toBe("live");
  const told = watch(drawing);
  const rows: object[] = [];
  for (let round = 0; round < 5; round += 1) {
    const ended = watchTurns();
    const before = told.calls;
    const began = performance.now();
    const cpu = process.cpuUsage();
    const unit = drawing.newUnit();
    const changes = drawing.view().objects.map(({ object_id, props }) => ({
      object_id,
      set: { x: Number(props.x) + 1 },
    }));
    drawing.updateObjects(changes, unit);
    const edit = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    await drawing.flush();
    const head = count + count * (round + 1);
    await expect.poll(() => drawing.revision, { timeout: 20_000 }).toBe(head);
    const { longest, total } = ended();
    const saved = performance.now() - began;
    rows.push({
      objects: count,
      edit,
      cpu: (user + system) / 1_000,
      longest,
      busy: total,
      saved,
      changes: told.calls - before,
    });
  }
  console.table(
    rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, ms]) => [name, Math.round(ms as number)])),
    ),
  );
  told.end();
  await client.close();
  await testbed.close();
  const best = Math.min(...rows.map((row) => (row as { longest: number }).longest));
  expect(best).toBeLessThan(limit);
});
