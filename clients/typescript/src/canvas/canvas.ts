// The canvas: a pure function of the committed log, kept up op by op.
//
// The rules are those of docs/canvas.md; the vectors in `tests/vectors` pin them. No I/O, no clock.

import type { CommittedOp } from "../ops.js";
import { fold } from "./fold.js";
import { type History, historyOf, type Scope } from "./history.js";
import { Overlay } from "./overlay.js";
import { isFold } from "./read.js";
import { type Registers, readRegisters, writeInSteps, writeRegisters } from "./registers.js";
import { hashOf, type View } from "./render.js";
import { type Looks, Screen } from "./screen.js";
import { State } from "./state.js";
import { write } from "./write.js";

/**
 * What became of an op that was given to a canvas: it was the next one; it had been applied before; or there is a hole
 * before it. In the last two cases nothing has changed.
 */
export type Applied = "next" | "stale" | "gap";

/** What a snapshot holds of a canvas. */
export interface CanvasSnapshot {
  readonly revision: number;
  readonly registers: Registers;
}

/** The canvas of one drawing at one revision. It keeps values of the ops it takes in: do not change them afterwards. */
export class Canvas {
  #state = new State();
  readonly #screen = new Screen();

  /**
   * The canvas that a snapshot holds, to go on with the ops after it.
   *
   * @throws {UnknownFormatError} when the registers are of a format that this version does not read.
   * @throws {InvalidRegistersError} when the registers contradict themselves.
   */
  static fromSnapshot({ revision, registers }: CanvasSnapshot): Canvas {
    const canvas = new Canvas();
    canvas.#state = readRegisters(revision, registers);
    return canvas;
  }

  /** The revision of the last op that it has taken in; 0 before the first. */
  get revision(): number {
    return this.#state.revision;
  }

  /** Undo units that began at or below this revision are closed: folded, for good. 0 before the first fold. */
  get floor(): number {
    return this.#state.floor;
  }

  /** What is seen. It, and each object in it that has not changed since, is the same JavaScript object as before. */
  view(): View;
  /** @internal With `before`: how objects looked in another picture. Those that look so now are taken from there. */
  view(before?: Looks): View;
  view(before?: Looks): View {
    return this.#screen.view(this.#state, before);
  }

  /** What is seen, in canonical JSON (RFC 8785). */
  canonicalView(): string {
    return this.#screen.canonical(this.#state);
  }

  /** The SHA-256 of the canonical view: all readers of a revision have the same. */
  stateHash(): string {
    return hashOf(this.canonicalView());
  }

  /** What can be undone and redone. */
  history(scope: Scope): History {
    return historyOf(this.#state, scope);
  }

  /** What would be seen with further ops on top. It tells for how long it holds as this canvas takes in more. */
  overlay(): Overlay {
    return new Overlay(this.#state, this.#screen);
  }

  /** All that must be kept to go on from here. */
  registers(): Registers {
    return writeRegisters(this.#state);
  }

  /** The same in short steps, between which it must not change. */
  registersInSteps(): Generator<undefined, Registers> {
    return writeInSteps(this.#state);
  }

  /** Takes in the next op of the log. One that it cannot read only joins its unit. */
  apply(op: CommittedOp): Applied {
    const { revision } = op;
    const state = this.#state;
    if (revision <= state.revision) return "stale";
    if (revision !== state.revision + 1) return "gap";
    state.revision = revision;
    if (isFold(op)) fold(state, op.floor);
    else write(state, op, this.#screen);
    return "next";
  }
}
