// The picture of a drawing, and how it is kept on the device from one time to the next.

import type { CachedCanvas, CanvasCache } from "./cache/cache.js";
import { Keeper, type Reading } from "./cache/keeper.js";
import { Draft } from "./canvas/draft.js";
import { isNewerFormat } from "./canvas/registers.js";
import { outdatedError, type RevcastError } from "./errors.js";
import type { CommittedOp } from "./ops.js";
import type { Ack } from "./outbox/types.js";
import { isOnLog, type Lineage, type LogPosition, lineageOf, type Position } from "./protocol.js";

export interface PictureOptions {
  readonly cache: CanvasCache | undefined;
  /** Where the reader of the log stands. */
  position(): Position | undefined;
  /** Whether the user may still see it, for all that is known. */
  mayKeep(): boolean;
  /** What was kept cannot be shown by this version. */
  failed(error: RevcastError): void;
}

export class Picture {
  readonly draft = new Draft();
  readonly #options: PictureOptions;
  /** Once the user is known, where there is a cache. */
  #keeper: Keeper | undefined;
  #isLoaded = false;
  /** That of the confirmed state. */
  #log: Lineage | undefined;
  /** The epoch in which the draft began. To it, the log is of that one, however often it has gone on in another. */
  #line: string | undefined;
  /** Where ops are, by id in lower case, in epochs that the confirmed state has not reached. */
  readonly #ahead = new Map<string, Position>();

  constructor(options: PictureOptions) {
    this.#options = options;
  }

  /** Whether a state of the server is there: loaded, or kept from the last time. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** The revision up to which undo units are closed, because their ops were folded; 0 where none are. */
  get undoFloor(): number {
    return this.draft.confirmed.floor;
  }

  /** Begins anew from a snapshot of the server. */
  reset(snapshot: CachedCanvas & LogPosition): void {
    this.#begin(snapshot);
    this.#keeper?.changed();
  }

  #begin(snapshot: CachedCanvas & LogPosition): void {
    const { epoch } = snapshot;
    // Within an epoch, what was acknowledged and is not reached yet stays so.
    const line = this.#log?.epoch === epoch ? this.#line : epoch;
    this.draft.reset(snapshot, line);
    this.#line = line;
    this.#isLoaded = true;
    this.#reach(snapshot);
  }

  /** The log goes on in another epoch, and has all of the confirmed state. */
  adopt(log: Lineage): void {
    this.#reach(log);
    // It is kept under the epoch that will be asked for.
    this.#keeper?.changed();
  }

  /** Takes in ops of the log. */
  confirm(ops: readonly CommittedOp[]): void {
    this.draft.confirm(ops);
    for (const { op_id } of ops) this.#ahead.delete(op_id.toLowerCase());
    this.#keeper?.changed();
  }

  /** The server has these. They stay in the picture until the confirmed state has them, in that epoch. */
  acknowledge(acks: readonly Ack[], epoch: string): void {
    for (const { op_id, revision } of acks) this.#acknowledge(op_id, { epoch, revision });
  }

  /** These are not in the log after all. */
  revoke(opIds: readonly string[]): void {
    for (const opId of opIds) {
      this.#ahead.delete(opId.toLowerCase());
      this.draft.remove(opId);
    }
  }

  #acknowledge(opId: string, at: Position): void {
    const id = opId.toLowerCase();
    if (this.#log !== undefined && isOnLog(this.#log, at)) {
      this.#ahead.delete(id);
      this.draft.acknowledge(id, at.revision, this.#line);
    } else this.#ahead.set(id, at);
  }

  #reach(log: Lineage): void {
    this.#log = lineageOf(log);
    for (const [id, at] of this.#ahead) this.#acknowledge(id, at);
  }

  /**
   * Begins with what was kept the last time, unless the server was quicker, and tells where in the log that is. What a
   * later version has kept stays for it until there is a state of the server.
   */
  async recall(scope: string): Promise<Position | undefined> {
    const { cache } = this.#options;
    if (cache === undefined) return undefined;
    this.#keeper = new Keeper(cache, scope, () => this.#confirmed());
    const kept = await this.#keeper.load();
    if (kept === undefined || this.#isLoaded) return undefined;
    try {
      if (isNewerFormat(kept.registers)) {
        this.#options.failed(outdatedError("the canvas on the device was kept by a later version"));
        return undefined;
      }
      this.#begin(kept);
    } catch {
      // An older version of this package may have kept it.
      this.#keeper.forget();
      return undefined;
    }
    return { epoch: kept.epoch, revision: kept.revision };
  }

  /** Begins to keep it as it is now. */
  save(): void {
    this.#keeper?.save();
  }

  /** The user may not see it any more. */
  forget(): void {
    this.#keeper?.forget();
  }

  *#confirmed(): Reading {
    const { confirmed } = this.draft;
    const { revision } = confirmed;
    const position = this.#options.position();
    // While a part of the first state is missing, the position is not that of the canvas.
    if (position?.revision !== revision || !this.#options.mayKeep()) return undefined;
    return { epoch: position.epoch, revision, registers: yield* confirmed.registersInSteps() };
  }
}
