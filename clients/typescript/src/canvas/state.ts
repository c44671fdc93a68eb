// All that a canvas knows. What is seen, what can be undone and what a snapshot holds is computed from it.

import type { Json } from "../json.js";
import { Chain, type Top } from "./chain.js";
import { Chains } from "./chains.js";
import type { ObjectRegisters, Props } from "./object.js";
import { Objects } from "./objects.js";
import { Units } from "./units.js";

export class State {
  settings: Props = new Chains();
  clear = new Chain<undefined>({ part: "clear" });
  /** The registers with more than one write: where there is one, a fold finds it as it leaves it. */
  readonly contested = new Set<Chain<unknown>>();
  /** The objects that a fold may have to forget though no clear hides them: all that are not settled. */
  readonly doubtful = new Set<ObjectRegisters>();

  /** `revision` is that of the last op taken in; `floor` that of the last fold, at or below which all units are closed. */
  constructor(
    public revision = 0,
    public floor = 0,
    readonly units = new Units(),
    readonly objects = new Objects(),
  ) {}

  /** A copy that may be written to, for as long as this one is not. It is never folded. */
  fork(): State {
    const fork = new State(this.revision, this.floor, new Units(this.units), new Objects(this.objects));
    fork.settings = new Chains(this.settings);
    fork.clear = this.clear.copy();
    return fork;
  }

  /** Which write of a register counts now. */
  readonly top: Top = (chain) => chain.top(this.units);

  /** Remembers what has to do with a write that was added to a register, for the next fold. A copy is never folded. */
  note(chain: Chain<unknown>): void {
    if (this.units.isCopy) return;
    if (chain.size > 1) this.contested.add(chain);
    // A further write to its existence may be a delete.
    const { object } = chain;
    if (object !== undefined && !object.isSettled) this.doubtful.add(object);
  }

  /** The revision of the newest live `canvas.clear`; 0 without one. */
  cleared(top: Top): number {
    return top(this.clear)?.revision ?? 0;
  }

  /** The register of a property of the canvas, to be written to. */
  setting(key: string): Chain<Json | undefined> {
    return this.settings.toWrite(key, { part: "settings" });
  }

  /** The object that a unit has written to, as this state has it. */
  current(object: ObjectRegisters): ObjectRegisters | undefined {
    return this.units.isCopy ? this.objects.get(object.id) : object;
  }

  /** The register that a unit has written to, as this state has it. */
  find(chain: Chain<unknown>): Chain<unknown> | undefined {
    if (!this.units.isCopy) return chain;
    const { part, object, key } = chain;
    if (part === "clear") return this.clear;
    if (part === "settings") return this.settings.get(String(key));
    return object === undefined ? undefined : this.current(object)?.find(chain);
  }
}
