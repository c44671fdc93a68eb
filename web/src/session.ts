// Who the user is: a guest of a server for development, or whoever pasted a token. Owns what of it is kept in the browser,
// and what becomes of a token that the server does not take any more.

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
  /** In milliseconds since 1970, by the clock of this device. */
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
  const trimmed = token?.trim();
  const before = knownSub();
  if (trimmed === undefined || before === undefined || claimsOf(trimmed)?.sub !== before) forgetMine();
  write("tab", PASTED, trimmed);
  // Who has signed out is asked who they are, not to sign in again.
  if (trimmed === undefined) hasWorked = false;
  needSignIn(false);
}

let isSignInNeeded = false;
/** Whether the server has answered this user since the page was opened. */
let hasWorked = false;
const signInListeners = new Set<() => void>();

/**
 * Whether only the user can get a token that the server takes. `first`: there was none yet. `again`: it took one until
 * now, and work may wait to be sent.
 */
export function signInState(): "fine" | "first" | "again" {
  if (!isSignInNeeded) return "fine";
  return hasWorked || pastedToken() !== undefined ? "again" : "first";
}

export function onSignIn(listener: () => void): () => void {
  signInListeners.add(listener);
  return () => signInListeners.delete(listener);
}

function needSignIn(isNeeded: boolean): void {
  if (isNeeded === isSignInNeeded) return;
  isSignInNeeded = isNeeded;
  for (const listener of signInListeners) listener();
}

/** Whether this token is of somebody else than who uses the page now. */
export function isOfAnother(token: string): boolean {
  const before = knownSub();
  return before !== undefined && claimsOf(token.trim())?.sub !== before;
}

/**
 * A `fetch` for requests with a token of `getToken`. One that the server refuses is forgotten: a guest gets another one,
 * with which the request is made again, and anybody else is asked to sign in.
 */
export const fetchAsMe: typeof fetch = async (input, init) => {
  const answer = await fetch(input, init);
  if (answer.status !== 401) {
    if (answer.ok && isMine(bearerOf(init))) {
      hasWorked = true;
      // It may have been refused for a while only, as by a clock that is behind.
      needSignIn(false);
    }
    return answer;
  }
  const refused = bearerOf(init);
  const token = refused === undefined ? undefined : await tokenInPlaceOf(refused);
  if (token === undefined) return answer;
  const headers = new Headers(init?.headers);
  headers.set("Authorization", `Bearer ${token}`);
  return fetch(input, { ...init, headers });
};

/** Whether it is the token of who uses the page now. */
function isMine(token: string | undefined): boolean {
  const mine = pastedToken() ?? readObject("device", GUEST_TOKEN)?.token;
  return token !== undefined && token === mine;
}

function bearerOf(init: RequestInit | undefined): string | undefined {
  return new Headers(init?.headers).get("Authorization")?.replace(/^Bearer /, "");
}

/** Another token than the one that was refused; none if only the user can get one, or the server is out of reach. */
async function tokenInPlaceOf(refused: string): Promise<string | undefined> {
  const pasted = pastedToken();
  if (pasted === refused) {
    needSignIn(true);
    return undefined;
  }
  if (readObject("device", GUEST_TOKEN)?.token === refused) write("device", GUEST_TOKEN, undefined);
  // Why there is none is told by the next request, which asks again.
  return getToken().catch(() => undefined);
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
  return renewal.catch((error) => {
    if (error instanceof NoGuestsError) needSignIn(true);
    // Out of reach of the server, one that has ended still tells who the user is.
    if (kept === undefined || error instanceof NoGuestsError) throw error;
    return kept.token;
  });
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
  const lasts = expires_at - serverTime(answer);
  write("device", GUEST_TOKEN, JSON.stringify({ token, expires_at: Date.now() + lasts, sub, name }));
  return token;
}

/** When the server answered, by its own clock, from which that of this device may be far. */
function serverTime(answer: Response): number {
  const time = Date.parse(answer.headers.get("Date") ?? "");
  return Number.isNaN(time) ? Date.now() : time;
}

function someName(): string {
  const one = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)] ?? "";
  return `${one(["Amber", "Brisk", "Calm", "Clever", "Gentle", "Lucky", "Quiet", "Sunny", "Swift", "Witty"])} ${one(
    ["Badger", "Crane", "Fox", "Hare", "Heron", "Lynx", "Otter", "Robin", "Seal", "Wren"],
  )}`;
}
