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

test("where site data are blocked, a token is fetched once, and again when it is forgotten", async () => {
  block();
  const answer = { token: "a.b.c", expires_at: Date.now() + 3_600_000 };
  const fetched = vi.fn(async () => Response.json(answer));
  vi.stubGlobal("fetch", fetched);
  const { getToken, forgetToken } = await newPage();
  expect(await getToken()).toBe("a.b.c");
  expect(await getToken()).toBe("a.b.c");
  expect(fetched).toHaveBeenCalledTimes(1);
  forgetToken();
  await getToken();
  expect(fetched).toHaveBeenCalledTimes(2);
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

test("what is kept of a user is there on the next page, and gone with the token", async () => {
  const before = await newPage();
  before.keepMine(["a drawing"]);
  const after = await newPage();
  expect(after.keptMine()).toEqual(["a drawing"]);
  after.forgetToken();
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
