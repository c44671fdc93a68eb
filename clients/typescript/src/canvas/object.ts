// One object: its registers, and what they come to.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { type Address, Chain, chainOf, dropEmpty, type Part, type Top } from "./chain.js";
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
  /** Of a copy: its own registers. The others are those of the object beneath, and not to be written to. */
  #own: Set<Chain<unknown>> | undefined;

  /** Nothing is known of it, but for what `registers` hold. */
  constructor(
    readonly id: string,
    registers?: Pick<ObjectRegisters, "exists" | "kind" | "z" | "tool">,
  ) {
    this.exists = registers?.exists ?? new Chain({ part: "exists", object: this });
    this.kind = registers?.kind ?? new Chain({ part: "kind", object: this });
    this.z = registers?.z ?? new Chain({ part: "z", object: this });
    this.tool = registers?.tool ?? new Chain({ part: "tool", object: this });
  }

  /** A register that each object has once, to be written to. */
  once<P extends "exists" | "kind" | "z" | "tool">(part: P): this[P];
  once(part: "exists" | "kind" | "z" | "tool"): Chain<Existence> | Chain<string> {
    if (part === "exists") this.exists = this.#mine(this.exists);
    else this[part] = this.#mine(this[part]);
    return this[part];
  }

  /** The register of a property, to be written to. */
  prop(key: string): Chain<Json | undefined> {
    return this.#of(this.props, "props", key);
  }

  /** The register of a stretch of points, to be written to. */
  stretch(index: number): Chain<readonly Point[]> {
    return this.#of(this.points, "points", index);
  }

  /** The register of an end of the stroke, to be written to. */
  end(count: number): Chain<undefined> {
    return this.#of(this.ends, "ends", count);
  }

  #of<K extends string | number, T>(chains: Map<K, Chain<T>>, part: Part, key: K): Chain<T> {
    const chain = chains.get(key);
    if (chain === undefined) {
      const fresh = chainOf(chains, part, key, this);
      this.#own?.add(fresh as Chain<unknown>);
      return fresh;
    }
    const mine = this.#mine(chain);
    if (mine !== chain) chains.set(key, mine);
    return mine;
  }

  /** The register itself, or its copy where it is still that of the object beneath. */
  #mine<T>(chain: Chain<T>): Chain<T> {
    if (this.#own === undefined || this.#own.has(chain as Chain<unknown>)) return chain;
    const mine = chain.copy();
    this.#own.add(mine as Chain<unknown>);
    return mine;
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

  /**
   * An object with the same registers, for as long as this one does not change. A register is copied when it is written
   * to: most of the many that an op touches are not.
   */
  copy(): ObjectRegisters {
    const { id, exists, kind, z, tool } = this;
    const copy = new ObjectRegisters(id, { exists, kind, z, tool });
    copy.props = new Map(this.props);
    if (this.points.size > 0) copy.points = new Map(this.points);
    if (this.ends.size > 0) copy.ends = new Map(this.ends);
    copy.#own = new Set();
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
