// Who the user is, in browsers that keep something and in those that keep nothing.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

/** Each test has a page of its own: nothing that another one knew. */
async function newPage() {
  vi.resetModules();
  return import("../src/session.js");
}

function setStorage(get: () => Storage): void {
  for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(globalThis, name, { get, configurable: true });
  }
}

/** As in a browser that blocks site data: even the name throws. */
function block(): void {
  setStorage(() => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  });
}

/** A token that names a user; nobody here checks its signature. */
function tokenOf(sub: string): string {
  return `x.${Buffer.from(JSON.stringify({ sub })).toString("base64url")}.x`;
}

function storageOf(values: Map<string, string>): Storage {
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  } as unknown as Storage;
}

beforeEach(() => {
  const values = new Map<string, string>();
  setStorage(() => storageOf(values));
});
afterEach(() => {
  for (const name of ["localStorage", "sessionStorage"]) Reflect.deleteProperty(globalThis, name);
  vi.unstubAllGlobals();
});

test("a guest is the same one on the next page, under the name of their choice", async () => {
  const before = await newPage();
  const { sub } = before.guest();
  before.rename("Ada");
  const after = await newPage();
  expect(after.guest()).toEqual({ sub, name: "Ada" });
});

test("where site data are blocked, a guest is one guest as long as the page is there", async () => {
  block();
  const { guest, rename, myName } = await newPage();
  const { sub } = guest();
  expect(guest().sub).toBe(sub);
  rename("Ada");
  expect(guest()).toEqual({ sub, name: "Ada" });
  expect(myName()).toBe("Ada");
});

/** A server that hands out these tokens to guests, one after the other, and takes the last of them alone. */
function serverWith(tokens: readonly string[], headers: Record<string, string> = {}) {
  const left = [...tokens];
  const calls: string[] = [];
  vi.stubGlobal("fetch", async (input: string, init?: RequestInit) => {
    calls.push(input);
    if (input === "/v1/dev/tokens") {
      const token = left.shift();
      if (token === undefined) return new Response(null, { status: 404 });
      return Response.json({ token, expires_at: Date.parse("2030-01-01T01:00:00Z") }, { headers });
    }
    const isTaken = new Headers(init?.headers).get("Authorization") === `Bearer ${tokens.at(-1)}`;
    return new Response(null, { status: isTaken ? 204 : 401 });
  });
  return calls;
}

test("where site data are blocked, a token is fetched once, and again when the server refuses it", async () => {
  block();
  const calls = serverWith(["a.b.c", "d.e.f"], { Date: "Tue, 01 Jan 2030 00:00:00 GMT" });
  const { getToken, fetchAsMe } = await newPage();
  expect(await getToken()).toBe("a.b.c");
  expect(await getToken()).toBe("a.b.c");
  expect(calls).toHaveLength(1);
  const answers = await Promise.all(
    ["/one", "/two"].map((path) => fetchAsMe(path, { headers: { Authorization: "Bearer a.b.c" } })),
  );
  expect(answers.map(({ status }) => status)).toEqual([204, 204]);
  expect(await getToken()).toBe("d.e.f");
  expect(calls.filter((call) => call === "/v1/dev/tokens")).toHaveLength(2);
});

test("a token of a guest lasts as long as the server says, however wrong the clock of the device is", async () => {
  for (const now of ["2030-01-01T03:00:00Z", "2029-12-31T21:00:00Z"]) {
    vi.useFakeTimers({ now: Date.parse(now), toFake: ["Date"] });
    const calls = serverWith(["a.b.c", "d.e.f"], { Date: "Tue, 01 Jan 2030 00:00:00 GMT" });
    const { getToken, pasteToken } = await newPage();
    await getToken();
    vi.setSystemTime(Date.now() + 3_000_000);
    expect(await getToken()).toBe("a.b.c");
    vi.setSystemTime(Date.now() + 600_000);
    expect(await getToken()).toBe("d.e.f");
    expect(calls).toHaveLength(2);
    vi.useRealTimers();
    for (const name of ["localStorage", "sessionStorage"]) Reflect.deleteProperty(globalThis, name);
    const values = new Map<string, string>();
    setStorage(() => storageOf(values));
    pasteToken(undefined);
  }
});

test("whose pasted token is refused is asked to sign in, until one is taken", async () => {
  serverWith(["a.b.c"]);
  const { getToken, pasteToken, fetchAsMe, signInState, onSignIn, isOfAnother } = await newPage();
  pasteToken(tokenOf("ada"));
  let told = 0;
  onSignIn(() => {
    told += 1;
  });
  const ask = async () => fetchAsMe("/one", { headers: { Authorization: `Bearer ${await getToken()}` } });
  expect((await ask()).status).toBe(401);
  expect((await ask()).status).toBe(401);
  expect([signInState(), told]).toEqual(["again", 1]);
  // It still tells who the user is.
  expect(await getToken()).toBe(tokenOf("ada"));
  expect([isOfAnother(tokenOf("ada")), isOfAnother(tokenOf("bob"))]).toEqual([false, true]);
  pasteToken("a.b.c");
  expect(signInState()).toBe("fine");
  expect((await ask()).status).toBe(204);
});

test("who is no guest any more is asked to sign in, at first and later", async () => {
  serverWith([]);
  const { getToken, signInState } = await newPage();
  await expect(getToken()).rejects.toThrow();
  expect(signInState()).toBe("first");
});

test("where site data are blocked, a pasted token is used until it is taken back", async () => {
  block();
  const { pasteToken, pastedToken, getToken } = await newPage();
  pasteToken(" a.b.c ");
  expect(await getToken()).toBe("a.b.c");
  pasteToken(undefined);
  expect(pastedToken()).toBeUndefined();
});

test("what does not fit into the storage hides what is in it", async () => {
  const values = new Map([["revcast.guest", JSON.stringify({ sub: "guest-1", name: "Ada" })]]);
  const full = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  setStorage(() => ({ ...storageOf(values), setItem: full }));
  const { guest, rename } = await newPage();
  rename("Grace");
  expect(guest()).toEqual({ sub: "guest-1", name: "Grace" });
});

test("what is kept of a user is there on the next page, and with their next token", async () => {
  const before = await newPage();
  before.pasteToken(tokenOf("ada"));
  before.keepMine(["a drawing"]);
  const after = await newPage();
  expect(after.keptMine()).toEqual(["a drawing"]);
  after.pasteToken(`${tokenOf("ada")}y`);
  expect(after.keptMine()).toEqual(["a drawing"]);
  after.pasteToken(undefined);
  expect(after.keptMine()).toBeUndefined();
});

test("what is kept of a user is not for the next one, nor left when they go", async () => {
  const device = new Map<string, string>();
  const tab = new Map<string, string>();
  Object.defineProperty(globalThis, "localStorage", { get: () => storageOf(device), configurable: true });
  Object.defineProperty(globalThis, "sessionStorage", { get: () => storageOf(tab), configurable: true });
  const { keepMine, keptMine, pasteToken } = await newPage();
  keepMine(["a drawing of the guest"]);
  pasteToken(tokenOf("ada"));
  expect(keptMine()).toBeUndefined();
  keepMine(["a drawing of Ada"]);
  expect(keptMine()).toEqual(["a drawing of Ada"]);
  // It lasts no longer than the token, which goes with the tab.
  expect([...device.values()].join()).not.toContain("a drawing");
  pasteToken(tokenOf("bob"));
  expect(keptMine()).toBeUndefined();
  pasteToken(undefined);
  expect(keptMine()).toBeUndefined();
  expect([...device.values(), ...tab.values()].join()).not.toContain("a drawing");
});
