// A client as a whole: what it leaves on the device.

import "fake-indexeddb/auto";
import { afterEach, expect, test, vi } from "vitest";
import { IndexedDbCache } from "../src/cache/cache.js";
import { Http } from "../src/http.js";
import { claimsOf, createClient, type RevcastClient, unwrap } from "../src/index.js";
import { IndexedDbStore } from "../src/outbox/indexeddb.js";
import { DRAWING, FeedServer } from "./support/feed_server.js";

const URL = "http://test";
const tokenOf = (sub: string) => `head.${btoa(JSON.stringify({ sub }))}.signature`;
const scopeOf = (sub: string) => JSON.stringify([URL, sub, DRAWING]);

const within = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
const clients: RevcastClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

/** A client whose ops do not reach the server, so that they stay on the device. */
function clientOf(sub: string, getToken = () => tokenOf(sub), storage?: "memory"): RevcastClient {
  const server = new FeedServer();
  server.commit(1);
  const fetch = async (input: unknown, init?: RequestInit) => {
    if (init?.method === "POST" && String(input).endsWith("/ops")) throw new TypeError("offline");
    return server.fetch(input, init);
  };
  const client = createClient({
    url: URL,
    getToken,
    fetch: fetch as typeof globalThis.fetch,
    WebSocket: server.WebSocket,
    ...(storage === undefined ? {} : { storage }),
  });
  clients.push(client);
  return client;
}

async function left(sub: string): Promise<{ ops: number; canvas: boolean }> {
  const store = new IndexedDbStore();
  const ops = await store.load(scopeOf(sub));
  store.close();
  return { ops: ops.length, canvas: (await new IndexedDbCache().load(scopeOf(sub))) !== undefined };
}

/** Draws two objects that cannot be sent. */
async function draw(client: RevcastClient): Promise<void> {
  const drawing = client.open(DRAWING);
  await within(() => drawing.loaded).toBe(true);
  drawing.createObject({ kind: "rect" });
  drawing.createObject({ kind: "rect" });
}

test("closed, it leaves what is unsent and the canvas; erased, nothing of its user", async () => {
  for (const sub of ["alice", "bob", "alice2"]) {
    const client = clientOf(sub);
    await draw(client);
    await client.close();
    await within(() => left(sub)).toEqual({ ops: 2, canvas: true });
  }
  const again = clientOf("alice");
  await draw(again);
  expect(await again.erase()).toBe(4);
  expect(await left("alice")).toEqual({ ops: 0, canvas: false });
  for (const sub of ["bob", "alice2"]) expect(await left(sub)).toEqual({ ops: 2, canvas: true });
  expect(() => again.open(DRAWING)).toThrow("closed");
  await expect(again.erase()).rejects.toMatchObject({ code: "closed" });
});

test("what was in memory is counted as lost, too", async () => {
  const client = clientOf("emil", () => tokenOf("emil"), "memory");
  await draw(client);
  expect(await client.erase()).toBe(2);
});

test("while it cannot be told who the user is, nothing is erased or closed", async () => {
  let token = tokenOf("carol");
  const client = clientOf("carol", () => token);
  await draw(client);
  token = "";
  await expect(client.erase()).rejects.toMatchObject({ code: "AUTH_FAILED" });
  token = tokenOf("carol");
  expect(client.open(DRAWING).connection).not.toBe("closed");
  await client.close();
  await within(() => left("carol")).toEqual({ ops: 2, canvas: true });
});

test("endpoints can be read where a request has no `body`, as in Firefox", async () => {
  class FirefoxRequest extends Request {
    override get body(): null {
      return undefined as unknown as null;
    }
  }
  vi.stubGlobal("Request", FirefoxRequest);
  const seen: (RequestInit | undefined)[] = [];
  const client = createClient({
    url: URL,
    getToken: () => tokenOf("dora"),
    storage: "memory",
    fetch: async (_input, init) => {
      seen.push(init);
      return Response.json({ drawings: [] });
    },
  });
  clients.push(client);
  await client.rest.GET("/v1/drawings");
  await client.rest.POST("/v1/drawings", { body: { title: "A" } });
  vi.unstubAllGlobals();
  const bodies = seen
    .map((init) => init?.body)
    .map((body) => body && new TextDecoder().decode(body as ArrayBuffer));
  expect(bodies).toEqual([null, '{"title":"A"}']);
});

/** A client whose server answers so, or that has none. */
function answered(answer: () => Response, getToken = () => tokenOf("frida")): RevcastClient {
  const client = createClient({ url: URL, getToken, storage: "memory", fetch: async () => answer() });
  clients.push(client);
  return client;
}

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json(
    { type: "about:blank", title: "", status, code, detail: `it is ${code}`, retryable: status === 429 },
    { status, headers: { "Content-Type": "application/problem+json", ...headers } },
  );
const path = { params: { path: { drawing_id: DRAWING } } };

test("an answer of an endpoint that is no success is an `error`, and `unwrap` throws it", async () => {
  const gone = answered(() => problem(404, "not_found"));
  const answer = await gone.rest.GET("/v1/drawings/{drawing_id}", path);
  expect(answer.data).toBeUndefined();
  expect(answer.error).toMatchObject({ code: "not_found", detail: "it is not_found" });
  expect(answer.response.status).toBe(404);
  const refused = { name: "RevcastError", code: "not_found", message: "it is not_found", status: 404 };
  expect(() => unwrap(answer)).toThrow(expect.objectContaining(refused));
  // The methods of the client throw it as before.
  await expect(gone.createLink(DRAWING, "viewer")).rejects.toMatchObject(refused);

  const busy = answered(() => problem(429, "rate_limited", { "Retry-After": "7" }));
  const later = await busy.rest.DELETE("/v1/drawings/{drawing_id}", path);
  expect(() => unwrap(later)).toThrow(expect.objectContaining({ retryable: true, retryAfter: 7_000 }));
  const signedOut = await answered(() => problem(401, "unauthenticated")).rest.GET("/v1/drawings");
  expect(() => unwrap(signedOut)).toThrow(expect.objectContaining({ code: "AUTH_FAILED" }));
});

test("`unwrap` returns the data, and takes an answer without a body for what its status says", async () => {
  const there = await answered(() => Response.json({ drawings: [] })).rest.GET("/v1/drawings");
  expect(unwrap(there).drawings).toEqual([]);
  const done = answered(() => new Response(null, { status: 204 }));
  expect(unwrap(await done.rest.DELETE("/v1/drawings/{drawing_id}", path))).toBeUndefined();
  const gateway = answered(() => new Response(null, { status: 502, headers: { "Content-Length": "0" } }));
  const empty = await gateway.rest.DELETE("/v1/drawings/{drawing_id}", path);
  expect(() => unwrap(empty)).toThrow(
    expect.objectContaining({ code: "CONNECTION_FAILED", status: 502, retryable: true }),
  );
});

test("an endpoint without an answer throws", async () => {
  const away = answered(() => {
    throw new TypeError("offline");
  });
  await expect(away.rest.GET("/v1/drawings")).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  const abort = AbortSignal.abort();
  const here = answered(() => Response.json({ drawings: [] }));
  await expect(here.rest.GET("/v1/drawings", { signal: abort })).rejects.toMatchObject({
    code: "CONNECTION_FAILED",
  });
  const nobody = answered(
    () => Response.json({}),
    () => {
      throw new Error("no token");
    },
  );
  await expect(nobody.rest.GET("/v1/drawings")).rejects.toMatchObject({ code: "AUTH_FAILED" });
});

test("a slow answer is waited for as long as parts of it come, and silence is a timeout", async () => {
  const parts = ['{"a"', ":", "1", "}"];
  const body = (count: number) => {
    let at = 0;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        await new Promise((resolve) => setTimeout(resolve, at < count ? 400 : 0));
        if (at === parts.length) controller.close();
        else if (at < count) controller.enqueue(new TextEncoder().encode(parts[at++]));
        else await new Promise(() => {});
      },
    });
  };
  let count = parts.length;
  const http = new Http({
    url: "http://test",
    getToken: () => "token",
    fetch: async (_, init) => {
      const stream = body(count);
      const reader = stream.getReader();
      const passed = new ReadableStream<Uint8Array>({
        start: (controller) =>
          init?.signal?.addEventListener("abort", () => controller.error(init.signal?.reason)),
        pull: async (controller) => {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        },
      });
      return new Response(passed);
    },
  });
  expect(await http.json("GET", "/slow", undefined, { timeout: 1_200 })).toEqual({ a: 1 });
  count = 1;
  const failed = await http
    .json("GET", "/slow", undefined, { timeout: 1_200 })
    .catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "CONNECTION_FAILED", cause: { name: "TimeoutError" } });
});

test("a token is read without TextDecoder, too, whatever letters its name has", () => {
  const payload = Buffer.from('{"sub":"ä","name":"漢🎉"}').toString("base64url");
  vi.stubGlobal("TextDecoder", undefined);
  try {
    expect(claimsOf(`h.${payload}.s`)).toEqual({ sub: "ä", name: "漢🎉" });
  } finally {
    vi.unstubAllGlobals();
  }
});
