// The undo units that are still open: who began them, whether they are live, and what they have written to.

import type { CommittedOp } from "../ops.js";
import type { Chain } from "./chain.js";

/** Which units are live. Units are named by the revision of their first op. */
export interface Liveness {
  isLive(unit: number): boolean;
  /** The units that may be live here but not in the log, or the other way round: those that a chain cannot know of. */
  readonly toggled: ReadonlySet<number>;
}

/** Stands for all closed units, whose writes are live for good. Revisions begin at 1. */
export const CLOSED = 0;

/** The latest undo or redo that changed a unit. */
export interface Toggle {
  readonly revision: number;
  readonly isUndo: boolean;
}

/** What the server has added to an op that names a unit. */
type Committed = Pick<CommittedOp, "revision" | "actor" | "ts">;

/** An open undo unit. */
export interface Unit {
  /** In lower case. */
  readonly id: string;
  /** The revision of its first op. It names the unit in every write. */
  readonly first: number;
  /** Whose first op it was. */
  readonly actor: string;
  /** Whether it has an op that writes to the canvas; what has none is nothing to undo. */
  draws: boolean;
  /** When it was last named: the `ts` of its last op, or of the last undo or redo of it. */
  touched: number;
  toggled: Toggle | undefined;
  /**
   * The registers that it has written to: what changes when it is undone or redone. A fold may have dropped what it
   * wrote. In a copy of the canvas, `State.find` has the one that counts.
   */
  readonly registers: Chain<unknown>[];
}

export function isLive(unit: Unit): boolean {
  return unit.toggled?.isUndo !== true;
}

/** All open units, ascending by their first revision. */
export class Units implements Liveness {
  /** By first revision. They are added in that order, which a `Map` keeps. */
  readonly #open = new Map<number, Unit>();
  readonly #byId = new Map<string, Unit>();
  readonly #base: Units | undefined;
  readonly #toggled = new Set<number>();

  /** None, or a copy of `base` for as long as that does not change. A copy closes no units. */
  constructor(base?: Units) {
    this.#base = base;
  }

  isLive(first: number): boolean {
    const unit = this.get(first);
    return unit === undefined || isLive(unit);
  }

  /** Those that were undone or redone in this copy. */
  get toggled(): ReadonlySet<number> {
    return this.#toggled;
  }

  /** Which units are live if one of them is toggled. */
  toggling({ first }: Unit): Liveness {
    return {
      isLive: (unit) => this.isLive(unit) !== (unit === first),
      toggled: new Set(this.#toggled).add(first),
    };
  }

  /** The unit of an op that is committed at `revision`; begun by it where there is none of that id. */
  join(id: string, { revision, actor, ts }: Committed): Unit {
    const unit = this.#toWrite(id) ?? this.add(id, revision, actor);
    unit.touched = ts;
    return unit;
  }

  /** Adds a unit that began after all others. */
  add(id: string, first: number, actor: string): Unit {
    return this.#keep({ id, first, actor, draws: false, touched: 0, toggled: undefined, registers: [] });
  }

  /**
   * Undoes or redoes a unit and returns it. Nothing is undone or redone, and nothing is returned, where it is unknown or
   * closed, and where it is undone or live already.
   */
  toggle(id: string, { revision, ts }: Committed, isUndo: boolean): Unit | undefined {
    const unit = this.#toWrite(id);
    if (unit === undefined) return undefined;
    unit.touched = ts;
    if (isLive(unit) !== isUndo) return undefined;
    unit.toggled = { revision, isUndo };
    if (this.#base !== undefined) this.#toggled.add(unit.first);
    else for (const chain of unit.registers) chain.turn(unit.first, !isUndo);
    return unit;
  }

  /** The units that began at or below `floor`. */
  upTo(floor: number): Unit[] {
    const units: Unit[] = [];
    for (const unit of this.#open.values()) {
      if (unit.first > floor) break;
      units.push(unit);
    }
    return units;
  }

  /** Forgets the units that began at or below `floor`. */
  close(floor: number): void {
    for (const unit of this.upTo(floor)) {
      this.#open.delete(unit.first);
      this.#byId.delete(unit.id);
    }
  }

  /** Whether these are those of a copy of a canvas. */
  get isCopy(): boolean {
    return this.#base !== undefined;
  }

  /** Whether a unit was begun here, or changed, and is not that of the base. */
  isOwn(id: string): boolean {
    return this.#byId.has(id);
  }

  find(id: string): Unit | undefined {
    return this.#byId.get(id) ?? this.#base?.find(id);
  }

  get(first: number): Unit | undefined {
    return this.#open.get(first) ?? this.#base?.get(first);
  }

  /** All of them, ascending. */
  all(): Unit[] {
    if (this.#base === undefined) return [...this.#open.values()];
    const base = this.#base.all();
    const last = base.at(-1)?.first ?? 0;
    const begun = [...this.#open.values()].filter((unit) => unit.first > last);
    return [...base.map((unit) => this.#open.get(unit.first) ?? unit), ...begun];
  }

  /** The unit of that id, to be changed. */
  #toWrite(id: string): Unit | undefined {
    const own = this.#byId.get(id);
    if (own !== undefined) return own;
    const unit = this.#base?.find(id);
    if (unit === undefined) return undefined;
    return this.#keep({ ...unit, registers: [...unit.registers] });
  }

  #keep(unit: Unit): Unit {
    this.#open.set(unit.first, unit);
    this.#byId.set(unit.id, unit);
    return unit;
  }
}
