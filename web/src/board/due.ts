// What is still to be compared with the past, kept on the device: a page may be closed before the server has answered it.

import type { AcknowledgedOp, CommittedOp } from "../revcast.js";
import { keys, readObject, write } from "../storage.js";

/** An op of the user's own that is to be compared with what was there before it. */
export interface Due {
  readonly op: AcknowledgedOp | CommittedOp;
  readonly revision: number;
}

const PREFIX = "revcast.due.";
/** Of a drawing that is not opened any more, it is kept for so long, in milliseconds. */
const KEEP_FOR = 30 * 24 * 3_600_000;

/** Of one drawing and user. Each op has a place of its own: other tabs keep theirs. */
export class DueStore {
  readonly #prefix: string;

  constructor(drawingId: string, userId: string) {
    this.#prefix = `${PREFIX}${drawingId}.${encodeURIComponent(userId)}.`;
  }

  /** What was due and not forgotten, by op id. What is too old goes, of all drawings. */
  load(): ReadonlyMap<string, Due> {
    const due = new Map<string, Due>();
    for (const key of keys("device", PREFIX)) {
      const { op, at } = readObject("device", key) ?? {};
      if (typeof at !== "number" || at < Date.now() - KEEP_FOR || !isOp(op)) write("device", key, undefined);
      else if (key.startsWith(this.#prefix)) due.set(op.op_id.toLowerCase(), { op, revision: op.revision });
    }
    return due;
  }

  keep({ op, revision }: Due): void {
    const value = JSON.stringify({ op: { ...op, revision }, at: Date.now() });
    write("device", this.#key(op.op_id), value);
  }

  forget(opId: string): void {
    write("device", this.#key(opId), undefined);
  }

  #key(opId: string): string {
    return `${this.#prefix}${opId.toLowerCase()}`;
  }
}

/** As far as it has to be: what else an op holds is looked at as if it might be anything. */
function isOp(value: unknown): value is AcknowledgedOp {
  if (typeof value !== "object" || value === null) return false;
  const { op_id, type, revision } = value as Readonly<Record<string, unknown>>;
  return typeof op_id === "string" && typeof type === "string" && Number.isSafeInteger(revision);
}
