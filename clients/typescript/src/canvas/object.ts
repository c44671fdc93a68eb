// One object: its registers, and what they come to.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { type Address, Chain, chainOf, copyOf, dropEmpty, type Top } from "./chain.js";
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
  exists: Chain<Existence>;
  kind: Chain<string>;
  z: Chain<string>;
  tool: Chain<string>;
  props: Props = new Map();
  /** Points by index: those of `stroke.begin` at 0, those of each append at its own. */
  points = new Map<number, Chain<readonly Point[]>>();
  /** The counts that ends of the stroke have told. */
  ends = new Map<number, Chain<undefined>>();

  constructor(readonly id: string) {
    this.exists = new Chain({ part: "exists", object: this });
    this.kind = new Chain({ part: "kind", object: this });
    this.z = new Chain({ part: "z", object: this });
    this.tool = new Chain({ part: "tool", object: this });
  }

  /** The register of a property, to be written to. */
  prop(key: string): Chain<Json | undefined> {
    return chainOf(this.props, "props", key, this);
  }

  /** The register of a stretch of points, to be written to. */
  stretch(index: number): Chain<readonly Point[]> {
    return chainOf(this.points, "points", index, this);
  }

  /** The register of an end of the stroke, to be written to. */
  end(count: number): Chain<undefined> {
    return chainOf(this.ends, "ends", count, this);
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

  /** An object with the same registers, for as long as this one does not change. */
  copy(): ObjectRegisters {
    const copy = new ObjectRegisters(this.id);
    copy.exists = this.exists.copy();
    copy.kind = this.kind.copy();
    copy.z = this.z.copy();
    copy.tool = this.tool.copy();
    copy.props = copyOf(this.props);
    copy.points = copyOf(this.points);
    copy.ends = copyOf(this.ends);
    return copy;
  }

  /** Drops the bases of all registers. */
  forget(floor: number, liveness: Liveness): void {
    for (const chain of this.chains()) chain.forget(floor, liveness);
  }

  /** Drops the registers that have no write left. */
  dropEmpty(): void {
    dropEmpty(this.props);
    dropEmpty(this.points);
    dropEmpty(this.ends);
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
    return [props, points, ends].every((chains) => [...chains.values()].every((chain) => chain.isEmpty));
  }

  chains(): Chain<unknown>[] {
    const { exists, kind, z, tool, props, points, ends } = this;
    return [exists, kind, z, tool, ...props.values(), ...points.values(), ...ends.values()];
  }
}
