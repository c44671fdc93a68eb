// All that a canvas knows. What is seen, what can be undone and what a snapshot holds is computed from it.

import { Chain, copyOf } from "./chain.js";
import type { Props } from "./object.js";
import { Objects } from "./objects.js";
import { type Liveness, Units } from "./units.js";

export class State {
  settings: Props = new Map();
  clear = new Chain<undefined>();

  /** `revision` is that of the last op taken in. */
  constructor(
    public revision = 0,
    readonly units = new Units(),
    readonly objects = new Objects(),
  ) {}

  /** A copy that may be written to, for as long as this one is not. It is never folded. */
  fork(): State {
    const fork = new State(this.revision, new Units(this.units), new Objects(this.objects));
    fork.settings = copyOf(this.settings);
    fork.clear = this.clear.copy();
    return fork;
  }

  /** The revision of the newest live `canvas.clear`; 0 without one. */
  cleared(liveness: Liveness): number {
    return this.clear.top(liveness)?.revision ?? 0;
  }
}
