// The picture of a drawing, and how it is kept on the device from one time to the next.

import type { CachedCanvas, CanvasCache } from "./cache/cache.js";
import { Keeper } from "./cache/keeper.js";
import { Draft } from "./canvas/draft.js";
import type { CommittedOp } from "./ops.js";
import type { Ack } from "./outbox/types.js";
import type { Position } from "./protocol.js";

export interface PictureOptions {
  readonly cache: CanvasCache | undefined;
  /** Where the reader of the log stands. */
  position(): Position | undefined;
  /** Whether the user may still see it, for all that is known. */
  mayKeep(): boolean;
}

export class Picture {
  readonly draft = new Draft();
  readonly #options: PictureOptions;
  /** Once the user is known, where there is a cache. */
  #keeper: Keeper | undefined;
  #isLoaded = false;

  constructor(options: PictureOptions) {
    this.#options = options;
  }

  /** Whether a state of the server is there: loaded, or kept from the last time. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Begins anew from a snapshot of the server. */
  reset(snapshot: CachedCanvas): void {
    this.draft.reset(snapshot, snapshot.epoch);
    this.#isLoaded = true;
    this.#keeper?.changed();
  }

  /** Takes in ops of the log. */
  confirm(ops: readonly CommittedOp[]): void {
    this.draft.confirm(ops);
    this.#keeper?.changed();
  }

  /** The server has these. They stay in the picture until the confirmed state has them. */
  acknowledge(acks: readonly Ack[], epoch: string): void {
    for (const { op_id, revision } of acks) this.draft.acknowledge(op_id, revision, epoch);
  }

  /** Begins with what was kept the last time, unless the server was quicker, and tells where in the log that is. */
  async recall(scope: string): Promise<Position | undefined> {
    const { cache } = this.#options;
    if (cache === undefined) return undefined;
    this.#keeper = new Keeper(cache, scope, () => this.#confirmed());
    const kept = await this.#keeper.load();
    if (kept === undefined || this.#isLoaded) return undefined;
    try {
      this.draft.reset(kept, kept.epoch);
    } catch {
      // An older version of this package may have kept it.
      this.#keeper.forget();
      return undefined;
    }
    this.#isLoaded = true;
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

  #confirmed(): CachedCanvas | undefined {
    const { revision } = this.draft.confirmed;
    const position = this.#options.position();
    // While a part of the first state is missing, the position is not that of the canvas.
    if (position?.revision !== revision || !this.#options.mayKeep()) return undefined;
    return { epoch: position.epoch, revision, registers: this.draft.confirmed.registers() };
  }
}
