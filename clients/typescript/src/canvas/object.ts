// One object: its registers, and what they come to.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { Chain, copyOf, dropEmpty } from "./chain.js";
import type { Liveness } from "./units.js";

/** What decides whether an object is there. */
export type Existence = "create" | "delete";

/** Properties by name; the value is `undefined` where one was unset. */
export type Props = Map<string, Chain<Json | undefined>>;

/** Where an object that is seen stands in the order of the screen. */
export interface Place {
  readonly z: string;
  /** The revision of the create that decides. */
  readonly created: number;
}

/** The registers of one object, whether or not it is there. */
export class ObjectRegisters {
  exists = new Chain<Existence>();
  kind = new Chain<string>();
  z = new Chain<string>();
  tool = new Chain<string>();
  props: Props = new Map();
  /** Points by index: those of `stroke.begin` at 0, those of each append at its own. */
  points = new Map<number, Chain<readonly Point[]>>();
  /** The counts that ends of the stroke have told. */
  ends = new Map<number, Chain<undefined>>();

  /** Where it stands; `undefined` when it is not seen. `cleared` is the revision of the live clear, 0 without one. */
  place(liveness: Liveness, cleared: number): Place | undefined {
    const deciding = this.exists.top(liveness);
    if (deciding?.value !== "create" || deciding.revision <= cleared) return undefined;
    return { z: this.z.top(liveness)?.value ?? "", created: deciding.revision };
  }

  /** An object with the same registers. */
  copy(): ObjectRegisters {
    const copy = new ObjectRegisters();
    copy.exists = this.exists.copy();
    copy.kind = this.kind.copy();
    copy.z = this.z.copy();
    copy.tool = this.tool.copy();
    copy.props = copyOf(this.props);
    copy.points = copyOf(this.points);
    copy.ends = copyOf(this.ends);
    return copy;
  }

  /** Folds every register. */
  fold(floor: number, liveness: Liveness): void {
    this.#change((chain) => chain.fold(floor, liveness));
  }

  /** Drops what is folded. */
  forget(): void {
    this.#change((chain) => chain.forget());
  }

  /**
   * Whether it has been deleted or cleared away for good, as things stand: the write that decides is closed and is a
   * delete, or a create that is older than the closed clear.
   */
  isGone(liveness: Liveness, closedClear: number): boolean {
    const { base } = this.exists;
    // The base is checked first: this is asked of all objects at each fold.
    if (base === undefined || base !== this.exists.top(liveness)) return false;
    return base.value === "delete" || base.revision < closedClear;
  }

  /** Whether nothing is known of it. */
  get isEmpty(): boolean {
    return this.exists.isEmpty && this.chains().every((chain) => chain.isEmpty);
  }

  chains(): Chain<unknown>[] {
    const { exists, kind, z, tool, props, points, ends } = this;
    return [exists, kind, z, tool, ...props.values(), ...points.values(), ...ends.values()];
  }

  #change(change: (chain: Chain<unknown>) => void): void {
    this.chains().forEach(change);
    dropEmpty(this.props);
    dropEmpty(this.points);
    dropEmpty(this.ends);
  }
}
