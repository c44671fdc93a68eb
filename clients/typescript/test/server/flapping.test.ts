// A network that flaps and works: what is drawn meanwhile comes at once, in order, and the reader is live again as soon as
// the last fault is over. `FLAPPING_SECONDS=60 npx vitest run test/server/flapping.test.ts` measures it for longer.

import { afterEach, expect, test } from "vitest";
import WebSocket from "ws";
import { createClient } from "../../src/index.js";
import { startProxy } from "./proxy.js";
import { startTestbed } from "./testbed.js";

const SECONDS = Number(process.env.FLAPPING_SECONDS ?? 12);
const CUT_EVERY = 2_000;
const OP_EVERY = 50;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test(`for ${SECONDS} s, a cut every 2 s and 20 ops a second`, {
  timeout: SECONDS * 1_000 + 60_000,
}, async () => {
  const testbed = await startTestbed();
  ends.push(() => testbed.close());
  const alice = await testbed.person("alice");
  const id = await testbed.createDrawing(alice);
  const proxy = await startProxy(testbed.url);
  ends.push(() => proxy.close());
  const client = createClient({
    url: proxy.url,
    getToken: () => alice.token,
    storage: "memory",
    WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
  });
  ends.push(() => client.close());
  const drawing = client.open(id);
  await expect.poll(() => drawing.connection, { timeout: 20_000 }).toBe("live");

  const sentAt = new Map<string, number>();
  const seen: string[] = [];
  const lags: number[] = [];
  drawing.onOps((ops) => {
    for (const { op_id } of ops) {
      seen.push(op_id);
      lags.push(performance.now() - (sentAt.get(op_id) ?? Number.NaN));
    }
  });
  const cutting = setInterval(() => proxy.drop(), CUT_EVERY);
  ends.push(() => clearInterval(cutting));
  const began = performance.now();
  for (let n = 0; n < (SECONDS * 1_000) / OP_EVERY; n += 1) {
    const op_id = crypto.randomUUID();
    sentAt.set(op_id, performance.now());
    await testbed.commit(alice, id, [{ op_id, type: "custom.tick", data: {} }]);
    const due = began + (n + 1) * OP_EVERY - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due)));
  }
  clearInterval(cutting);
  proxy.drop();
  const lastAt = performance.now();
  await expect.poll(() => drawing.connection, { interval: 5 }).not.toBe("live");
  await expect.poll(() => drawing.connection, { timeout: 20_000, interval: 5 }).toBe("live");
  const liveAfter = performance.now() - lastAt;
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(sentAt.size);

  expect(seen).toEqual([...sentAt.keys()]);
  const sorted = lags.toSorted((a, b) => a - b);
  const [median = 0, longest = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const figures = {
    cuts: proxy.faults,
    median,
    p95: sorted[Math.floor(sorted.length * 0.95)],
    longest,
    liveAfter,
  };
  if (process.env.FLAPPING_SECONDS !== undefined) console.log(figures);
  expect(median).toBeLessThan(300);
  expect(longest).toBeLessThan(3_000);
  expect(liveAfter).toBeLessThan(1_000);
});
