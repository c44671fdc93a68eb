// One object: its registers, and what they come to.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { type Address, Chain, type Top } from "./chain.js";
import { Chains } from "./chains.js";
import type { Liveness } from "./units.js";

/** What decides whether an object is there. */
export type Existence = "create" | "delete";

/** Properties by name; the value is `undefined` where one was unset. */
export type Props = Chains<string, Json | undefined>;

/** Where an object that is seen stands in the order of the screen. */
export interface Place {
  readonly z: string;
  /** The revision of the create that decides. */
  readonly created: number;
}

/** The registers of one object, whether or not it is there. */
export class ObjectRegisters {
  exists: Chain<Existence>;
  kind: Chain<string>;
  z: Chain<string>;
  tool: Chain<string>;
  props: Props;
  /** Points by index: those of `stroke.begin` at 0, those of each append at its own. */
  points: Chains<number, readonly Point[]>;
  /** The counts that ends of the stroke have told. */
  ends: Chains<number, undefined>;
  /** Of a copy: the object beneath, whose registers are not to be written to. */
  readonly #base: ObjectRegisters | undefined;

  /**
   * Nothing is known of it; or a copy of `base`, for as long as that one does not change. A register is copied when it is
   * written to: most of the many that an op touches are not.
   */
  constructor(
    readonly id: string,
    base?: ObjectRegisters,
  ) {
    this.#base = base;
    this.exists = base?.exists ?? new Chain({ part: "exists", object: this });
    this.kind = base?.kind ?? new Chain({ part: "kind", object: this });
    this.z = base?.z ?? new Chain({ part: "z", object: this });
    this.tool = base?.tool ?? new Chain({ part: "tool", object: this });
    this.props = new Chains(base?.props);
    this.points = new Chains(base?.points);
    this.ends = new Chains(base?.ends);
  }

  /** A register that each object has once, to be written to. */
  once<P extends "exists" | "kind" | "z" | "tool">(part: P): this[P];
  once(part: "exists" | "kind" | "z" | "tool"): Chain<Existence> | Chain<string> {
    if (this[part] === this.#base?.[part]) {
      if (part === "exists") this.exists = this.exists.copy();
      else this[part] = this[part].copy();
    }
    return this[part];
  }

  /** The register of a property, to be written to. */
  prop(key: string): Chain<Json | undefined> {
    return this.props.toWrite(key, { part: "props", object: this });
  }

  /** The register of a stretch of points, to be written to. */
  stretch(index: number): Chain<readonly Point[]> {
    return this.points.toWrite(index, { part: "points", object: this });
  }

  /** The register of an end of the stroke, to be written to. */
  end(count: number): Chain<undefined> {
    return this.ends.toWrite(count, { part: "ends", object: this });
  }

  /** The register of an address, if there is one. */
  find({ part, key }: Address): Chain<unknown> | undefined {
    switch (part) {
      case "props":
        return this.props.get(String(key));
      case "points":
        return this.points.get(Number(key));
      case "ends":
        return this.ends.get(Number(key));
      case "exists":
      case "kind":
      case "z":
      case "tool":
        return this[part];
      default:
        return undefined;
    }
  }

  /** Where it stands; `undefined` when it is not seen. `cleared` is the revision of the live clear, 0 without one. */
  place(top: Top, cleared: number): Place | undefined {
    const deciding = top(this.exists);
    if (deciding?.value !== "create" || deciding.revision <= cleared) return undefined;
    return { z: top(this.z)?.value ?? "", created: deciding.revision };
  }

  /** Drops the bases of all registers. */
  forget(floor: number, liveness: Liveness): void {
    for (const chain of this.chains()) chain.forget(floor, liveness);
  }

  /** Drops the registers that have no write left. */
  dropEmpty(): void {
    this.props.dropEmpty();
    this.points.dropEmpty();
    this.ends.dropEmpty();
  }

  /**
   * Whether its bases can never be seen again: nothing is known of whether it is there, or nothing but a base, which is a
   * delete, or a create that is older than `closedClear`, the revision of the base of the clear. A write of an open unit
   * above that base may bring it back, even if it is undone now.
   */
  isGone(floor: number, closedClear: number): boolean {
    const { exists } = this;
    if (exists.isEmpty) return true;
    const base = exists.size === 1 ? exists.base(floor) : undefined;
    return base !== undefined && (base.value === "delete" || base.revision < closedClear);
  }

  /** Whether nothing but a create is known of whether it is there, so that only a clear can take it away. */
  get isSettled(): boolean {
    return this.exists.size === 1 && this.exists.writes[0]?.value === "create";
  }

  /** Whether nothing is known of it. */
  get isEmpty(): boolean {
    const { exists, kind, z, tool, props, points, ends } = this;
    // What exists is asked first: this is asked of many objects at each fold.
    if (!exists.isEmpty || !kind.isEmpty || !z.isEmpty || !tool.isEmpty) return false;
    return props.isEmpty && points.isEmpty && ends.isEmpty;
  }

  chains(): Chain<unknown>[] {
    const { exists, kind, z, tool, props, points, ends } = this;
    return [exists, kind, z, tool, ...props.values(), ...points.values(), ...ends.values()];
  }
}
