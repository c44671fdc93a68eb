// Who the user is: a guest of a server for development, or whoever pasted a token. Owns what of it is kept in the browser.

import { claimsOf } from "@revcast/client";
import { newId } from "./id.js";

const GUEST = "revcast.guest";
const GUEST_TOKEN = "revcast.guest-token";
const PASTED = "revcast.token";
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
  const kept = read<Guest>(localStorage, GUEST);
  if (typeof kept?.sub === "string" && typeof kept.name === "string") return kept;
  const fresh = { sub: `guest-${newId()}`, name: someName() };
  write(localStorage, GUEST, fresh);
  return fresh;
}

export function rename(name: string): void {
  const trimmed = [...name.trim()].slice(0, 40).join("");
  if (trimmed !== "") write(localStorage, GUEST, { ...guest(), name: trimmed });
}

export function pastedToken(): string | undefined {
  try {
    return sessionStorage.getItem(PASTED) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Uses this token from now on; without one, the user is a guest again. */
export function pasteToken(token: string | undefined): void {
  if (token === undefined) sessionStorage.removeItem(PASTED);
  else sessionStorage.setItem(PASTED, token.trim());
}

/** Who this is to the server, as the token says. */
export function myName(): string {
  const pasted = pastedToken();
  if (pasted === undefined) return guest().name;
  const claims = claimsOf(pasted);
  return claims?.name ?? claims?.sub ?? "You";
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
  const kept = read<GuestToken>(localStorage, GUEST_TOKEN);
  const isGood = kept?.sub === sub && kept.name === name && kept.expires_at > Date.now() + MARGIN;
  if (kept !== undefined && isGood) return Promise.resolve(kept.token);
  renewal ??= renew(sub, name).finally(() => {
    renewal = undefined;
  });
  // Out of reach of the server, one that has ended still tells who the user is.
  const isMine = kept?.sub === sub && kept.name === name;
  return isMine
    ? renewal.catch((error) => (error instanceof NoGuestsError ? Promise.reject(error) : kept.token))
    : renewal;
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
  write(localStorage, GUEST_TOKEN, { token, expires_at, sub, name });
  return token;
}

/** The server does not take the token: the next one is a fresh one. */
export function forgetToken(): void {
  localStorage.removeItem(GUEST_TOKEN);
}

function someName(): string {
  const one = (words: readonly string[]) => words[Math.floor(Math.random() * words.length)] ?? "";
  return `${one(["Amber", "Brisk", "Calm", "Clever", "Gentle", "Lucky", "Quiet", "Sunny", "Swift", "Witty"])} ${one(
    ["Badger", "Crane", "Fox", "Hare", "Heron", "Lynx", "Otter", "Robin", "Seal", "Wren"],
  )}`;
}

function read<T>(storage: Storage, key: string): (Partial<T> & T) | undefined {
  try {
    const value: unknown = JSON.parse(storage.getItem(key) ?? "null");
    return typeof value === "object" && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

function write(storage: Storage, key: string, value: unknown): void {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // Without storage the guest is another one after each load.
  }
}
