// The proxy: what each of its faults does to a request.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type FaultyProxy, startProxy } from "./proxy.js";

let server: Server;
let proxy: FaultyProxy;
/** Bodies of the requests that arrived whole. */
let arrived: string[];

beforeEach(async () => {
  arrived = [];
  server = createServer((request, response) => {
    let body = "";
    // A request that breaks off ends with an error, which is what some of the tests want.
    request.on("error", () => response.destroy());
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      arrived.push(body);
      response.end(`answer to ${body}`);
    });
  });
  server.on("clientError", (_, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await startProxy((server.address() as AddressInfo).port);
});

afterEach(async () => {
  await proxy.close();
  server.close();
  server.closeAllConnections();
});

/** Each on a connection of its own, unless it is to be kept. */
async function post(body: string, headers = { Connection: "close" }): Promise<string> {
  const signal = AbortSignal.timeout(10_000);
  return (await fetch(proxy.url, { method: "POST", body, headers, signal })).text();
}

test("passes everything on at first", async () => {
  const big = "x".repeat(3_000_000);
  expect(await post(big)).toBe(`answer to ${big}`);
  expect(proxy.faults).toBe(0);
  await vi.waitFor(() => expect(proxy.open).toBe(0));
});

test("refuses new connections and is there again", async () => {
  proxy.mode("refuse");
  await expect(post("a")).rejects.toThrow();
  expect(arrived).toEqual([]);
  expect(proxy.faults).toBeGreaterThan(0);
  proxy.mode("pass");
  expect(await post("b")).toBe("answer to b");
});

test("loses the answers alone", async () => {
  proxy.mode("lose-answers");
  await expect(post("a")).rejects.toThrow();
  expect(arrived).toEqual(["a"]);
});

test("lets half of the bytes through", async () => {
  proxy.mode("halve");
  await expect(post("a".repeat(1000))).rejects.toThrow();
  expect(arrived).toEqual([]);
});

test("says nothing, and resets what lost bytes when that ends", async () => {
  proxy.mode("blackhole");
  let failed = false;
  const lost = post("a").catch(() => {
    failed = true;
  });
  await vi.waitFor(() => expect(proxy.faults).toBeGreaterThan(0));
  expect(failed).toBe(false);
  proxy.mode("pass");
  await lost;
  expect([failed, arrived]).toEqual([true, []]);
  expect(await post("b")).toBe("answer to b");
});

test("lets bytes wait", async () => {
  proxy.delay(60);
  const started = performance.now();
  expect(await post("a")).toBe("answer to a");
  // There and back; timers may be early by a millisecond.
  expect(performance.now() - started).toBeGreaterThan(115);
});

test("drops the connections that there are", async () => {
  proxy.delay(5_000);
  const lost = expect(post("a")).rejects.toThrow();
  await vi.waitFor(() => expect(proxy.open).toBe(1));
  proxy.drop();
  await lost;
  expect(proxy.open).toBe(0);
});

test("faults by chance strike some and not all, and end", async () => {
  proxy.chaos({ seed: 3, rate: 0.3 });
  const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => post(`${n}`)));
  const failed = outcomes.filter(({ status }) => status === "rejected").length;
  expect(failed).toBeGreaterThan(0);
  expect(failed).toBeLessThan(40);
  expect(proxy.faults).toBeGreaterThanOrEqual(failed);
  proxy.mode("pass");
  expect(await post("end")).toBe("answer to end");
});

test("ends everything when it is closed", async () => {
  proxy.mode("blackhole");
  const lost = expect(post("a")).rejects.toThrow();
  await vi.waitFor(() => expect(proxy.faults).toBe(1));
  await proxy.close();
  await lost;
  await expect(post("b")).rejects.toThrow();
});
