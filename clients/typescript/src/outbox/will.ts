// Ops of a page's last moment. The database of a page that is being left may not get to them any more; the local storage
// does, within the task. Whoever reads the scope next takes them in.
//
// Should the database have got to them after all, they are there twice: that does no harm, they are sent under one id.

import { MAX_WILL_BYTES } from "../limits.js";
import type { OpRecord } from "./store.js";

const PREFIX = "revcast-outbox:";

/** Leaves the oldest of these, as far as there is room, in place of what was left before under the scope. */
export function leaveWill(scope: string, ops: readonly OpRecord[]): void {
  const left: OpRecord[] = [];
  let size = 0;
  for (const { op_id, body } of ops) {
    size += body.length;
    if (size > MAX_WILL_BYTES) break;
    left.push({ op_id, body });
  }
  attempt((storage) => storage.setItem(PREFIX + scope, JSON.stringify(left)));
}

/** What was left under the scope. */
export function readWill(scope: string): readonly OpRecord[] {
  const text = attempt((storage) => storage.getItem(PREFIX + scope)) ?? "[]";
  try {
    const ops: unknown = JSON.parse(text);
    return Array.isArray(ops) ? ops.filter(isRecord) : [];
  } catch {
    return [];
  }
}

export function dropWill(scope: string): void {
  attempt((storage) => storage.removeItem(PREFIX + scope));
}

/** Drops what was left under scopes that begin so, and tells how many ops that were. */
export function eraseWills(prefix: string): number {
  const scopes = attempt((storage) => Object.keys(storage)) ?? [];
  let count = 0;
  for (const key of scopes) {
    if (!key.startsWith(PREFIX + prefix)) continue;
    const scope = key.slice(PREFIX.length);
    count += readWill(scope).length;
    dropWill(scope);
  }
  return count;
}

/** There may be no local storage, it may be forbidden, or full: then the database alone has to do. */
function attempt<T>(act: (storage: Storage) => T): T | undefined {
  try {
    return act(localStorage);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is OpRecord {
  const { op_id, body } = (value ?? {}) as Partial<OpRecord>;
  return typeof op_id === "string" && typeof body === "string";
}
