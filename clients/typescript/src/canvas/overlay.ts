// What a canvas looks like with further ops on top: those that are pending.
//
// It stands on a canvas that takes in nothing meanwhile but ops that have to do with none of those here, and costs what its
// ops have touched, not what is on the canvas.

import type { CommittedOp, PendingOp } from "../ops.js";
import { type History, historyOf, type Scope } from "./history.js";
import { isDrawing, isFold, isToggle, unitOf } from "./read.js";
import { renderProps, type View } from "./render.js";
import {
  comparePlaces,
  known,
  type Looks,
  type Names,
  type Screen,
  type Shown,
  Stale,
  show,
  withProps,
} from "./screen.js";
import type { State } from "./state.js";
import { type Touched, write } from "./write.js";

/** Pending ops are newer than all of the log, also than what is yet to come of it. */
const PENDING_FROM = 2 ** 48;

export class Overlay implements Touched {
  readonly #base: State;
  readonly #screen: Screen;
  readonly #state: State;
  /** The objects that have been touched. */
  readonly #ids = new Set<string>();
  /** Those of them that may look otherwise now than they did at the last look. */
  readonly #stale = new Stale();
  /** How those that are seen looked last, by id. */
  readonly #looks = new Map<string, Shown>();
  /** The same in screen order. */
  #inOrder: readonly Shown[] = [];
  #isAllTouched = false;
  #areSettingsTouched = false;
  #view: View | undefined;

  constructor(base: State, screen: Screen) {
    this.#base = base;
    this.#screen = screen;
    this.#state = base.fork();
    this.#state.revision = PENDING_FROM;
  }

  /** Takes in an op as if it were the next one of the log. */
  apply(op: PendingOp, actor: string): void {
    this.#state.revision += 1;
    this.#view = undefined;
    write(this.#state, { ...op, actor, revision: this.#state.revision, ts: 0 }, this);
  }

  /**
   * Whether an op that the canvas has taken in has to do with none of those here, so that these still stand on it as
   * they are. Otherwise another overlay has to take the place of this one.
   */
  goesOn(op: CommittedOp): boolean {
    if (isFold(op) || isToggle(op) || this.#state.units.isOwn(unitOf(op))) return false;
    if (isDrawing(op)) {
      if (op.type === "canvas.set" || op.type === "canvas.clear") return false;
      const ids = op.type === "object.delete" ? op.object_ids : [op.object_id];
      if (ids.some((id) => this.#ids.has(id))) return false;
    }
    this.#view = undefined;
    return true;
  }

  touch(objectId: string): void {
    this.#ids.add(objectId);
    this.#stale.add(objectId);
  }

  touchProps(objectId: string, names: readonly string[]): void {
    // One that was looked at and not seen is not as it is on the canvas beneath.
    const isUnseen = this.#ids.has(objectId) && !this.#stale.has(objectId) && !this.#looks.has(objectId);
    this.#ids.add(objectId);
    if (isUnseen) this.#stale.add(objectId);
    else this.#stale.addProps(objectId, names);
  }

  touchSettings(): void {
    this.#areSettingsTouched = true;
  }

  touchClear(): void {
    this.#isAllTouched = true;
    // What is back in sight is to be looked at, too.
    for (const id of this.#ids) this.#stale.add(id);
  }

  history(scope: Scope): History {
    return historyOf(this.#state, scope);
  }

  /** What is seen. An object that looks as it does in `before`, which has the objects by their ids, is taken from there. */
  view(before: Looks): View {
    this.#view ??= this.#render(before);
    return this.#view;
  }

  /** How the objects that have been touched looked last. */
  get looks(): Looks {
    return this.#looks;
  }

  #render(before: Looks): View {
    const { canvas } = this.#screen.view(this.#base, before);
    const { top } = this.#state;
    const cleared = this.#state.cleared(top);
    this.#lookAgain(cleared, before);
    const shown = this.#isAllTouched ? this.#showAll(cleared) : this.#showTouched();
    return {
      canvas: this.#areSettingsTouched ? renderProps(this.#state.settings, top) : canvas,
      objects: shown.map(({ object }) => object),
    };
  }

  /** Renders what is stale, and nothing else: there may be thousands of objects that were touched. */
  #lookAgain(cleared: number, before: Looks): void {
    if (this.#stale.all.size === 0) return;
    const inOrder = this.#inOrder.filter(({ object }) => !this.#stale.has(object.object_id));
    for (const [id, names] of this.#stale.all) {
      const shown = this.#look(id, names, cleared);
      const earlier = this.#looks.get(id) ?? before.get(id);
      this.#looks.delete(id);
      if (shown === undefined) continue;
      const look = known(shown, earlier?.object);
      this.#looks.set(id, look);
      inOrder.push(look);
    }
    this.#stale.clear();
    this.#inOrder = inOrder.sort((a, b) => comparePlaces(a.place, b.place));
  }

  /** Where no more than some properties were touched, all else is as it was at the last look, or is on the canvas beneath. */
  #look(id: string, names: Names, cleared: number): Shown | undefined {
    const was = names && (this.#looks.get(id) ?? this.#screen.find(id));
    if (names === undefined || was === undefined || was.place.created <= cleared)
      return show(this.#state, id, cleared);
    return withProps(this.#state, was, names);
  }

  /** What was touched is put where it belongs among the others. */
  #showTouched(): Shown[] {
    const touched = this.#inOrder;
    const result: Shown[] = [];
    let next = 0;
    for (const shown of this.#screen.shown(this.#base)) {
      if (this.#ids.has(shown.object.object_id)) continue;
      for (let first = touched[next]; first !== undefined; first = touched[next]) {
        if (comparePlaces(first.place, shown.place) > 0) break;
        result.push(first);
        next += 1;
      }
      result.push(shown);
    }
    return result.concat(touched.slice(next));
  }

  #showAll(cleared: number): Shown[] {
    const result: Shown[] = [...this.#inOrder];
    for (const [id] of this.#state.objects) {
      if (this.#ids.has(id)) continue;
      const shown = show(this.#state, id, cleared, this.#screen.find(id));
      if (shown !== undefined) result.push(shown);
    }
    return result.sort((a, b) => comparePlaces(a.place, b.place));
  }
}
