// What the server has acknowledged of late, kept in case that the log goes on without it.
//
// A failover may lose ops that a client was told to be in the log, and a restored backup loses all that came after it.
// Whoever made them still has them here, and posts them again under their ids. An op that the log does have is answered as
// a duplicate, so that nothing is done twice.
//
// Ops are posted again, too, where the line is cut and nothing is known of what the two logs have in common. They were
// seen as saved, and the newest work is what a backup lacks. An operator who restores one to be rid of something gets it
// back only from pages that were open all the time, and only of the last minutes (`KEEP_RECEIPTS_FOR`).
//
// In memory alone, and bounded by count, bytes and age. No I/O.

import { KEEP_RECEIPTS_FOR, MAX_PAST_EPOCHS, MAX_RECEIPT_BYTES, MAX_RECEIPTS } from "../limits.js";
import type { PendingOp } from "../ops.js";
import { isOnLog, type Lineage } from "../protocol.js";
import type { Entry } from "./queue.js";
import type { Ack } from "./types.js";

/** An op that was acknowledged, and where. */
export interface Receipt {
  readonly op: PendingOp;
  /** The op as it was sent. */
  readonly body: string;
  readonly epoch: string;
  readonly revision: number;
  readonly bytes: number;
  readonly at: number;
  /** Whether the log is not known to have it any more. It is kept until it is posted again, by whichever tab sends. */
  readonly isRevoked: boolean;
}

export class Receipts {
  /** The log as the reader knows it; `undefined` before it knows any. */
  #log: Lineage | undefined;
  /** Epochs in which the reader has been, but for that of the log. */
  readonly #past = new Set<string>();
  /** By op id, oldest first. */
  readonly #kept = new Map<string, Receipt>();
  #bytes = 0;

  /** The epoch of the log, as far as it is known. */
  get epoch(): string | undefined {
    return this.#log?.epoch;
  }

  /** Whether acknowledgements are of a log that is over, and of nothing that this one goes on from. */
  areVoid(acks: readonly Ack[], epoch: string): boolean {
    const log = this.#log;
    if (log === undefined || epoch === log.epoch) return false;
    if (epoch !== log.previous_epoch) return this.#past.has(epoch);
    return !acks.every(({ revision }) => isOnLog(log, { epoch, revision }));
  }

  /** These are in the log, as was told of an epoch. */
  keep(entries: readonly Entry[], acks: readonly Ack[], epoch: string): void {
    const revisions = new Map(acks.map(({ op_id, revision }) => [op_id.toLowerCase(), revision]));
    const at = Date.now();
    for (const { id, op, body, bytes } of entries) {
      this.#drop(id);
      const revision = revisions.get(id);
      if (revision === undefined) continue;
      const position = { epoch: this.#epochOf(epoch, revision), revision };
      this.#kept.set(id, { op, body, ...position, bytes, at, isRevoked: false });
      this.#bytes += bytes;
    }
    for (const [oldest, receipt] of this.#kept) {
      const isTooMuch = this.#kept.size > MAX_RECEIPTS || this.#bytes > MAX_RECEIPT_BYTES;
      if (!isTooMuch && receipt.at > at - KEEP_RECEIPTS_FOR) break;
      this.#drop(oldest);
    }
  }

  /** These are in the log, too, whoever has posted them: what was revoked of them is so no more. */
  found(acks: readonly Ack[], epoch: string): void {
    const log = this.#log;
    // Another tab may know of the next epoch before this one does.
    const isNext = log !== undefined && epoch !== log.epoch && epoch !== log.previous_epoch;
    for (const { op_id, revision } of acks) {
      const id = op_id.toLowerCase();
      const receipt = this.#kept.get(id);
      if (receipt === undefined || !(receipt.isRevoked || isNext)) continue;
      this.#kept.set(id, { ...receipt, epoch: this.#epochOf(epoch, revision), revision, isRevoked: false });
    }
  }

  /** The log is this one now. Returns what is not known to be in it from now on. */
  revoke(log: Lineage): readonly Receipt[] {
    const before = this.#log?.epoch;
    this.#log = log;
    this.#past.delete(log.epoch);
    if (before !== undefined && before !== log.epoch) this.#past.add(before);
    for (const oldest of this.#past) {
      if (this.#past.size <= MAX_PAST_EPOCHS) break;
      this.#past.delete(oldest);
    }
    const since = Date.now() - KEEP_RECEIPTS_FOR;
    const revoked: Receipt[] = [];
    for (const [id, receipt] of [...this.#kept]) {
      const epoch = this.#epochOf(receipt.epoch, receipt.revision);
      const isRevoked = epoch !== log.epoch;
      this.#kept.set(id, { ...receipt, epoch, isRevoked });
      if (!isRevoked || receipt.isRevoked) continue;
      if (receipt.at > since) revoked.push(receipt);
      else this.#drop(id);
    }
    return inOrder(revoked);
  }

  /** What is revoked, in the order of the log that had it. It is kept no more. */
  takeRevoked(): readonly Receipt[] {
    const since = Date.now() - KEEP_RECEIPTS_FOR;
    const revoked: Receipt[] = [];
    for (const [id, receipt] of [...this.#kept]) {
      if (!receipt.isRevoked) continue;
      this.#drop(id);
      if (receipt.at > since) revoked.push(receipt);
    }
    return inOrder(revoked);
  }

  /** The epoch of the log where it has the position, else the one that was told. */
  #epochOf(epoch: string, revision: number): string {
    const log = this.#log;
    return log !== undefined && isOnLog(log, { epoch, revision }) ? log.epoch : epoch;
  }

  #drop(id: string): void {
    this.#bytes -= this.#kept.get(id)?.bytes ?? 0;
    this.#kept.delete(id);
  }
}

/** Those of different epochs, which is rare, as they were acknowledged. */
function inOrder(receipts: Receipt[]): Receipt[] {
  return receipts.sort((a, b) => (a.epoch === b.epoch ? a.revision - b.revision : a.at - b.at));
}
