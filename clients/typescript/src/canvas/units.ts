// The undo units that are still open: who began them, whether they are live, and what they have written to.

/** Tells whether a unit is live, by the revision of its first op. */
export type Liveness = (unit: number) => boolean;

/** Stands for all closed units, whose writes are live for good. Revisions begin at 1. */
export const CLOSED = 0;

/** Revisions between two folds. */
export const HORIZON_STEP = 1024;

/** Units that began at or below it are closed once the head is at this revision: nobody undoes, redoes or joins them. */
export function floorOf(head: number): number {
  return HORIZON_STEP * Math.max(0, Math.floor(head / HORIZON_STEP) - 1);
}

/** The latest undo or redo that changed a unit. */
export interface Toggle {
  readonly revision: number;
  readonly isUndo: boolean;
}

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
  toggled: Toggle | undefined;
  /** The objects that it has written to: what changes when it is undone or redone. */
  readonly objects: Set<string>;
  /** The properties of the canvas that it has written to. */
  readonly settings: Set<string>;
}

export function isLive(unit: Unit): boolean {
  return unit.toggled?.isUndo !== true;
}

/** All open units, ascending by their first revision. There are never more than two steps of the horizon. */
export class Units {
  /** By first revision. They are added in that order, which a `Map` keeps. */
  readonly #open = new Map<number, Unit>();
  readonly #byId = new Map<string, Unit>();
  readonly #base: Units | undefined;

  /** None, or a copy of `base` for as long as that does not change. A copy closes no units. */
  constructor(base?: Units) {
    this.#base = base;
  }

  /** Which units are live now. */
  readonly liveness: Liveness = (first) => {
    const unit = this.get(first);
    return unit === undefined || isLive(unit);
  };

  /** Which units are live if one of them is toggled. */
  toggling(toggled: Unit): Liveness {
    return (first) => this.liveness(first) !== (first === toggled.first);
  }

  /** The unit of an op that is committed at `revision`; begun by it where there is none of that id. */
  join(id: string, revision: number, actor: string): Unit {
    return this.#toWrite(id) ?? this.add(id, revision, actor);
  }

  /** Adds a unit that began after all others. */
  add(id: string, first: number, actor: string): Unit {
    return this.#keep({
      id,
      first,
      actor,
      draws: false,
      toggled: undefined,
      objects: new Set(),
      settings: new Set(),
    });
  }

  /**
   * Undoes or redoes a unit and returns it. Nothing changes, and nothing is returned, where it is unknown or closed,
   * and where it is undone or live already.
   */
  toggle(id: string, revision: number, isUndo: boolean): Unit | undefined {
    const unit = this.#toWrite(id);
    if (unit === undefined || isLive(unit) !== isUndo) return undefined;
    unit.toggled = { revision, isUndo };
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
    return this.#keep({ ...unit, objects: new Set(unit.objects), settings: new Set(unit.settings) });
  }

  #keep(unit: Unit): Unit {
    this.#open.set(unit.first, unit);
    this.#byId.set(unit.id, unit);
    return unit;
  }
}
