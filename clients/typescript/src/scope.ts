// Under what name things are kept on the device: by deployment, user and drawing.

import { RevcastError } from "./errors.js";
import type { Http } from "./http.js";
import { claimsOf } from "./token.js";

/**
 * The user of the token that there is now.
 *
 * @throws {RevcastError} `AUTH_FAILED` when there is none, or it names nobody.
 */
export async function userOf(http: Http): Promise<string> {
  const userId = claimsOf(await http.token())?.sub;
  if (userId === undefined)
    throw new RevcastError("AUTH_FAILED", "the token names no user", { retryable: true });
  return userId;
}

/** Of one drawing of one user. */
export function scopeOf(http: Http, userId: string, drawingId: string): string {
  return JSON.stringify([http.name, userId, drawingId]);
}

/** The same under the former names of the deployment. */
export function formerScopesOf(http: Http, userId: string, drawingId: string): readonly string[] {
  return http.formerNames.map((name) => JSON.stringify([name, userId, drawingId]));
}

/**
 * What all scopes of a user begin with, and no others: under the former names of the deployment, and at last under the one
 * that it has, to which something may just be moved.
 */
export function prefixesOf(http: Http, userId: string): readonly string[] {
  return [...http.formerNames, http.name].map((name) => `${JSON.stringify([name, userId]).slice(0, -1)},`);
}
