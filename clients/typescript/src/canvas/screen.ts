// What is on the screen, kept from one look to the next.
//
// Only what was touched since is rendered again. So an object that did not change stays the same JavaScript object, and
// a user interface can tell by `===` what it has to draw anew.

import type { JsonObject } from "../json.js";
import { canonical } from "./canonical.js";
import type { Place } from "./object.js";
import { renderObject, renderProps, type View, type ViewObject } from "./render.js";
import type { State } from "./state.js";
import type { Touched } from "./write.js";

/** An object that is seen. */
export interface Shown {
  readonly place: Place;
  readonly object: ViewObject;
  /** Its canonical JSON, once somebody has asked for it. */
  json: string | undefined;
}

/** Objects that are moved one by one; when more have changed, all are sorted. */
const MAX_MOVES = 256;

export class Screen implements Touched {
  /** In screen order. */
  #shown: Shown[] = [];
  #byId = new Map<string, Shown>();
  /** `undefined` when it must be rendered. */
  #settings: JsonObject | undefined;
  /** `undefined` when something was touched. */
  #view: View | undefined;
  /** The objects that may look otherwise than they are shown. */
  readonly #touched = new Set<string>();
  /** Whether any object may have appeared or disappeared. */
  #isAllTouched = true;

  touch(objectId: string): void {
    this.#touched.add(objectId);
    this.#view = undefined;
  }

  touchSettings(): void {
    this.#settings = undefined;
    this.#view = undefined;
  }

  touchClear(): void {
    this.#isAllTouched = true;
    this.#view = undefined;
  }

  view(state: State): View {
    if (this.#view === undefined) {
      this.#refresh(state);
      this.#settings ??= renderProps(state.settings, state.top);
      this.#view = { canvas: this.#settings, objects: this.#shown.map((shown) => shown.object) };
    }
    return this.#view;
  }

  /** What is seen, with the place of each object, in screen order. */
  shown(state: State): readonly Shown[] {
    this.view(state);
    return this.#shown;
  }

  /** How an object is seen, if it is, as of the last look. */
  find(id: string): Shown | undefined {
    return this.#byId.get(id);
  }

  /** The view in canonical JSON. */
  canonical(state: State): string {
    const { canvas } = this.view(state);
    const objects = this.#shown.map((shown) => {
      shown.json ??= canonicalObject(shown.object);
      return shown.json;
    });
    return `{"canvas":${canonical(canvas)},"objects":[${objects.join(",")}]}`;
  }

  #refresh(state: State): void {
    if (this.#isAllTouched || this.#touched.size > MAX_MOVES) {
      this.#rebuild(state);
    } else {
      for (const id of this.#touched) this.#update(state, id);
    }
    this.#touched.clear();
    this.#isAllTouched = false;
  }

  /** Looks at every object; renders those that were touched or have come into sight. */
  #rebuild(state: State): void {
    const known = this.#byId;
    for (const id of this.#touched) known.delete(id);
    this.#byId = new Map();
    const cleared = state.cleared(state.top);
    for (const [id] of state.objects) {
      const shown = show(state, id, cleared, known.get(id));
      if (shown !== undefined) this.#byId.set(id, shown);
    }
    this.#shown = [...this.#byId.values()].sort((a, b) => comparePlaces(a.place, b.place));
  }

  /** Renders one object and puts it where it belongs, or takes it away. */
  #update(state: State, id: string): void {
    const before = this.#byId.get(id);
    const after = show(state, id, state.cleared(state.top));
    // A create makes one object, so no two stand in the same place.
    if (before !== undefined && after !== undefined && comparePlaces(before.place, after.place) === 0) {
      this.#shown[this.#indexOf(after.place)] = after;
    } else {
      if (before !== undefined) this.#shown.splice(this.#indexOf(before.place), 1);
      if (after !== undefined) this.#shown.splice(this.#indexOf(after.place), 0, after);
    }
    if (after === undefined) this.#byId.delete(id);
    else this.#byId.set(id, after);
  }

  /** How many objects stand before a place. */
  #indexOf(place: Place): number {
    let [low, high] = [0, this.#shown.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const shown = this.#shown[middle];
      if (shown !== undefined && comparePlaces(shown.place, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** An object as it is seen, if it is. How it looks is taken from `known` where that still holds. */
export function show(state: State, id: string, cleared: number, known?: Shown): Shown | undefined {
  const { top } = state;
  const object = state.objects.get(id);
  const place = object?.place(top, cleared);
  if (object === undefined || place === undefined) return undefined;
  return known ?? { place, object: renderObject(id, object, top), json: undefined };
}

/** By `z`, in UTF-16 code units, then by the create that decides. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.z !== b.z) return a.z < b.z ? -1 : 1;
  return a.created - b.created;
}

function canonicalObject(object: ViewObject): string {
  return canonical({ ...object });
}
