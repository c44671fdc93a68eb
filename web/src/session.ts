// Who the user is: a guest of a server for development, or whoever pasted a token. Owns what of it is kept in the browser.

import { claimsOf } from "@revcast/client";
import { newId } from "./id.js";
import { read, readObject, type Where, write } from "./storage.js";

const GUEST = "revcast.guest";
const GUEST_TOKEN = "revcast.guest-token";
const PASTED = "revcast.token";
const MINE = "revcast.drawings";
/** A token is renewed so long before it ends, in milliseconds. */
const MARGIN = 60_000;

export interface Guest {
  readonly sub: string;
  readonly name: string;
}

interface GuestToken {
  readonly token: string;
  /** In milliseconds since 1970. */
  readonly expires_at: number;
  readonly sub: string;
  readonly name: string;
}

/** There are no guests here: somebody else makes the tokens. */
export class NoGuestsError extends Error {
  override readonly name = "NoGuestsError";
  constructor() {
    super("this server has no guests: a token is needed");
  }
}

export function guest(): Guest {
  const { sub, name } = readObject("device", GUEST) ?? {};
  if (typeof sub === "string" && typeof name === "string") return { sub, name };
  const fresh = { sub: `guest-${newId()}`, name: someName() };
  write("device", GUEST, JSON.stringify(fresh));
  return fresh;
}

export function rename(name: string): void {
  const trimmed = [...name.trim()].slice(0, 40).join("");
  if (trimmed !== "") write("device", GUEST, JSON.stringify({ ...guest(), name: trimmed }));
}

export function pastedToken(): string | undefined {
  return read("tab", PASTED);
}

/** Uses this token from now on; without one, the user is a guest again. */
export function pasteToken(token: string | undefined): void {
  forgetMine();
  write("tab", PASTED, token?.trim());
}

/** Who this is to the server, as the token says. */
export function myName(): string {
  const pasted = pastedToken();
  if (pasted === undefined) return guest().name;
  const claims = claimsOf(pasted);
  return claims?.name ?? claims?.sub ?? "You";
}

/** Keeps what the user has for a time without a network: no longer than it is kept who the user is. */
export function keepMine(value: unknown): void {
  const sub = knownSub();
  if (sub !== undefined) write(whereMine(), MINE, JSON.stringify({ sub, value }));
}

/** What was kept of this user; nothing of another one. */
export function keptMine(): unknown {
  const { sub, value } = readObject(whereMine(), MINE) ?? {};
  return sub !== undefined && sub === knownSub() ? value : undefined;
}

function forgetMine(): void {
  for (const where of ["device", "tab"] as const) write(where, MINE, undefined);
}

/** Where it is kept who the user is. */
function whereMine(): Where {
  return pastedToken() === undefined ? "device" : "tab";
}

/** Which user this is, as far as it is known without asking the server. */
function knownSub(): string | undefined {
  const pasted = pastedToken();
  return pasted === undefined ? guest().sub : claimsOf(pasted)?.sub;
}

/** Which user this is to the server. Fails without a token that tells it. */
export async function mySub(): Promise<string> {
  const sub = claimsOf(await getToken())?.sub;
  if (typeof sub !== "string") throw new Error("the token names no user");
  return sub;
}

let renewal: Promise<string> | undefined;

/** A token that is good for a while. One request at a time, however many ask. */
export function getToken(): Promise<string> {
  const pasted = pastedToken();
  if (pasted !== undefined) return Promise.resolve(pasted);
  const { sub, name } = guest();
  const kept = keptToken(sub, name);
  if (kept !== undefined && kept.expires_at > Date.now() + MARGIN) return Promise.resolve(kept.token);
  renewal ??= renew(sub, name).finally(() => {
    renewal = undefined;
  });
  // Out of reach of the server, one that has ended still tells who the user is.
  return kept === undefined
    ? renewal
    : renewal.catch((error) => (error instanceof NoGuestsError ? Promise.reject(error) : kept.token));
}

function keptToken(sub: string, name: string): GuestToken | undefined {
  const kept = readObject("device", GUEST_TOKEN);
  const { token, expires_at } = kept ?? {};
  if (kept?.sub !== sub || kept.name !== name) return undefined;
  return typeof token === "string" && typeof expires_at === "number"
    ? { token, expires_at, sub, name }
    : undefined;
}

async function renew(sub: string, name: string): Promise<string> {
  const answer = await fetch("/v1/dev/tokens", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sub, name }),
  });
  if (answer.status === 404 || answer.status === 405) throw new NoGuestsError();
  if (!answer.ok) throw new Error(`no token could be got: ${answer.status}`);
  const { token, expires_at } = (await answer.json()) as { token: string; expires_at: number };
  write("device", GUEST_TOKEN, JSON.stringify({ token, expires_at, sub, name }));
  return token;
}

/** The server does not take the token: the next one is a fresh one. */
export function forgetToken(): void {
  forgetMine();
  write("device", GUEST_TOKEN, undefined);
}

function someName(): string {
  const one = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)] ?? "";
  return `${one(["Amber", "Brisk", "Calm", "Clever", "Gentle", "Lucky", "Quiet", "Sunny", "Swift", "Witty"])} ${one(
    ["Badger", "Crane", "Fox", "Hare", "Heron", "Lynx", "Otter", "Robin", "Seal", "Wren"],
  )}`;
}
