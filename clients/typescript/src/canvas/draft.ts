// The picture as its user sees it: what is confirmed, with what is pending on top.
//
// Only ops of the log change the confirmed canvas, so that nothing has to be taken back when somebody else was faster.

import type { JsonObject } from "../json.js";
import type { CommittedOp, PendingOp } from "../ops.js";
import { isEqual } from "./canonical.js";
import { Canvas, type CanvasSnapshot } from "./canvas.js";
import type { History, Scope } from "./history.js";
import type { Overlay } from "./overlay.js";
import { isFold, unitOf } from "./read.js";
import type { View } from "./render.js";
import type { Looks } from "./screen.js";

/** A place in the log of an epoch; `undefined` for a canvas of which no epoch was told. */
interface Acknowledged {
  readonly epoch: string | undefined;
  readonly revision: number;
}

const NOTHING: Looks = new Map();

export class Draft {
  #confirmed = new Canvas();
  /** By op id in lower case, in the order in which they were made. */
  readonly #pending = new Map<string, PendingOp>();
  /** Where in the log ops are that the confirmed canvas has not reached. */
  readonly #acknowledged = new Map<string, Acknowledged>();
  /** That of the confirmed canvas, where it was told. */
  #epoch: string | undefined;
  /** The pending ops on top of the confirmed canvas, while none of them went and nothing came that meets them. */
  #overlay: Overlay | undefined;
  /** How the objects looked that pending ops had touched before there was this overlay. */
  #before: Looks = NOTHING;
  #view: View | undefined;
  /** By scope. It holds as long as the view does. */
  readonly #histories = new Map<string, History>();

  #actor: string;

  /** `actor` is who makes the pending ops. */
  constructor(actor = "") {
    this.#actor = actor;
  }

  get actor(): string {
    return this.#actor;
  }

  /** Tells late who makes the pending ops. */
  identify(actor: string): void {
    if (actor === this.#actor) return;
    this.#actor = actor;
    this.#changed();
  }

  get confirmed(): Canvas {
    return this.#confirmed;
  }

  /** Pending ops, those included that are acknowledged and not confirmed yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** A pending op, or one that is acknowledged and not confirmed yet. */
  find(opId: string): PendingOp | undefined {
    return this.#pending.get(opId.toLowerCase());
  }

  /**
   * Begins anew from a snapshot. What is pending stays. What was acknowledged in another epoch goes: only the log of that
   * one can tell what became of it.
   */
  reset(snapshot: CanvasSnapshot, epoch?: string): void {
    this.#confirmed = Canvas.fromSnapshot(snapshot);
    this.#epoch = epoch;
    this.#forgetAcknowledged((at) => at.epoch !== epoch || this.#hasReached(at));
    this.#changed();
  }

  /** Takes in ops of the log. */
  confirm(ops: readonly CommittedOp[]): void {
    // Thousands may have been made at once, and come back in many parts: what is seen is computed once, not with each.
    let isAsSeen = true;
    let goesOn = true;
    for (const op of ops) {
      const id = op.op_id.toLowerCase();
      isAsSeen = isAsSeen && this.#isNext(id, op);
      const applied = this.#confirmed.apply(op);
      isAsSeen = isAsSeen && applied === "next";
      this.#acknowledged.delete(id);
      if (this.#pending.delete(id)) goesOn = false;
      goesOn &&= this.#overlay?.goesOn(op) ?? true;
    }
    const hasForgotten = this.#forgetAcknowledged((at) => this.#hasReached(at));
    if (!hasForgotten && isAsSeen && this.#pending.size > 0) this.#dropOverlay();
    else if (hasForgotten || !goesOn) this.#changed();
    else this.#forgetSeen();
  }

  /** Whether an op of the log is the very one that stands next to the confirmed canvas in what is seen already. */
  #isNext(id: string, op: CommittedOp): boolean {
    const next = this.#pending.entries().next().value;
    if (next === undefined || next[0] !== id || op.actor !== this.#actor || isFold(op)) return false;
    const { revision: _revision, actor: _actor, ts: _ts, ...made } = op;
    const pending = next[1];
    // The server may tell what goes without saying.
    const unit = unitOf(op);
    if (unit !== (pending.unit ?? pending.op_id).toLowerCase()) return false;
    return isEqual({ ...made, op_id: id, unit } as JsonObject, { ...pending, op_id: id, unit } as JsonObject);
  }

  /** An op is in the log at `revision`. It stays pending until the confirmed canvas is there, in that epoch. */
  acknowledge(opId: string, revision: number, epoch = this.#epoch): void {
    const id = opId.toLowerCase();
    if (!this.#pending.has(id)) return;
    if (this.#hasReached({ epoch, revision })) this.remove(opId);
    else this.#acknowledged.set(id, { epoch, revision });
  }

  /** The pending ops were not made in the order in which they were put: from now on they stand in this one. */
  arrange(ops: Iterable<PendingOp>): void {
    const before = [...this.#pending.keys()];
    // What is acknowledged is in the log before all others.
    const after = before.filter((id) => this.#acknowledged.has(id));
    const rest = new Set(before.filter((id) => !this.#acknowledged.has(id)));
    for (const { op_id } of ops) {
      const id = op_id.toLowerCase();
      if (rest.delete(id)) after.push(id);
    }
    for (const id of rest) after.push(id);
    // Nearly always they stand so already: what is seen need not be made anew.
    if (after.every((id, index) => id === before[index])) return;
    const pending = new Map(this.#pending);
    this.#pending.clear();
    for (const id of after) {
      const op = pending.get(id);
      if (op !== undefined) this.#pending.set(id, op);
    }
    this.#changed();
  }

  /** Adds an op; one of the same id is replaced by it, which must write all that that one wrote. */
  put(op: PendingOp): void {
    this.#pending.set(op.op_id.toLowerCase(), op);
    this.#overlay?.apply(op, this.#actor);
    this.#forgetSeen();
  }

  /** Takes an op away: the confirmed canvas has it, or never will. */
  remove(opId: string): void {
    const id = opId.toLowerCase();
    this.#acknowledged.delete(id);
    if (this.#pending.delete(id)) this.#changed();
  }

  /** What is seen. It, and each object in it that looks as it did, is the same JavaScript object as before. */
  view(): View {
    this.#view ??= this.#render();
    return this.#view;
  }

  /** What can be undone and redone. Looked for once, until something changes. */
  history(scope: Scope): History {
    const key = scope === "all" ? "all" : `mine:${scope.mine}`;
    let history = this.#histories.get(key);
    if (history === undefined) {
      history = (this.#pending.size === 0 ? this.#confirmed : this.#onTop()).history(scope);
      this.#histories.set(key, history);
    }
    return history;
  }

  #render(): View {
    if (this.#pending.size > 0) return this.#onTop().view(this.#before);
    const view = this.#confirmed.view(this.#before);
    this.#before = NOTHING;
    return view;
  }

  #onTop(): Overlay {
    if (this.#overlay === undefined) {
      this.#overlay = this.#confirmed.overlay();
      for (const op of this.#pending.values()) this.#overlay.apply(op, this.#actor);
    }
    return this.#overlay;
  }

  #changed(): void {
    this.#dropOverlay();
    this.#forgetSeen();
  }

  /** Another one is made when it is needed. How objects looked is kept for it. */
  #dropOverlay(): void {
    if (this.#overlay !== undefined) this.#before = this.#overlay.looks;
    this.#overlay = undefined;
  }

  #forgetSeen(): void {
    this.#view = undefined;
    this.#histories.clear();
  }

  #hasReached({ epoch, revision }: Acknowledged): boolean {
    return epoch === this.#epoch && revision <= this.#confirmed.revision;
  }

  /** Whether there were any. */
  #forgetAcknowledged(isOver: (at: Acknowledged) => boolean): boolean {
    let isAny = false;
    for (const [id, at] of this.#acknowledged) {
      if (!isOver(at)) continue;
      this.#acknowledged.delete(id);
      this.#pending.delete(id);
      isAny = true;
    }
    return isAny;
  }
}
