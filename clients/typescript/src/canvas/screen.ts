// What is on the screen, kept from one look to the next.
//
// Only what was touched since is rendered again. So an object that did not change stays the same JavaScript object, and
// a user interface can tell by `===` what it has to draw anew.

import type { Json, JsonObject } from "../json.js";
import { canonical, isEqual, member } from "./canonical.js";
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

/** How objects look, by their ids. */
export type Looks = ReadonlyMap<string, { readonly object: ViewObject }>;

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
  readonly #touched = new Stale();
  /** Whether any object may have appeared or disappeared. */
  #isAllTouched = true;

  touch(objectId: string): void {
    this.#touched.add(objectId);
    this.#view = undefined;
  }

  touchProps(objectId: string, names: readonly string[]): void {
    this.#touched.addProps(objectId, names);
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

  /** An object that has been touched and looks as it does in `before` is taken from there. */
  view(state: State, before?: Looks): View {
    if (this.#view === undefined) {
      this.#refresh(state, before);
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

  #refresh(state: State, before: Looks | undefined): void {
    const cleared = state.cleared(state.top);
    if (this.#isAllTouched) {
      this.#rebuild(state, cleared, before);
    } else {
      const moved: string[] = [];
      for (const [id, names] of this.#touched.all) {
        const isThere = this.#renewProps(state, id, names, before) || this.#renew(state, id, cleared, before);
        if (!isThere) moved.push(id);
      }
      if (moved.length > MAX_MOVES) this.#rebuild(state, cleared, before);
      else for (const id of moved) this.#move(state, id, cleared, before);
    }
    this.#touched.clear();
    this.#isAllTouched = false;
  }

  /** Looks at every object; renders those that were touched or have come into sight. */
  #rebuild(state: State, cleared: number, before: Looks | undefined): void {
    const earlier = this.#byId;
    this.#byId = new Map();
    for (const [id] of state.objects) {
      const was = earlier.get(id);
      const isTouched = was === undefined || this.#touched.has(id);
      const shown = isTouched ? this.#look(state, id, cleared, before) : show(state, id, cleared, was);
      if (shown !== undefined) this.#byId.set(id, known(shown, was?.object));
    }
    this.#shown = [...this.#byId.values()].sort((a, b) => comparePlaces(a.place, b.place));
  }

  /** Renders nothing but these properties of an object; false where that is not all that may look otherwise. */
  #renewProps(state: State, id: string, names: Names, before: Looks | undefined): boolean {
    const was = this.#byId.get(id);
    if (names === undefined || was === undefined) return false;
    const look = withProps(state, was, names);
    if (look === was) return true;
    const shown = known(look, before?.get(id)?.object);
    this.#shown[this.#indexOf(shown.place)] = shown;
    this.#byId.set(id, shown);
    return true;
  }

  /** Renders an object anew where it stands; false if it stands elsewhere now, or is not seen any more, or only now. */
  #renew(state: State, id: string, cleared: number, before: Looks | undefined): boolean {
    const was = this.#byId.get(id);
    const place = state.objects.get(id)?.place(state.top, cleared);
    if (was === undefined || place === undefined) return was === undefined && place === undefined;
    // A create makes one object, so no two stand in the same place.
    if (comparePlaces(was.place, place) !== 0) return false;
    const look = this.#look(state, id, cleared, before);
    if (look === undefined) return false;
    const shown = known(look, was.object);
    this.#shown[this.#indexOf(place)] = shown;
    this.#byId.set(id, shown);
    return true;
  }

  /** Renders one object and puts it where it belongs, or takes it away. */
  #move(state: State, id: string, cleared: number, before: Looks | undefined): void {
    const was = this.#byId.get(id);
    const shown = this.#look(state, id, cleared, before);
    if (was !== undefined) this.#shown.splice(this.#indexOf(was.place), 1);
    if (shown !== undefined) this.#shown.splice(this.#indexOf(shown.place), 0, shown);
    if (shown === undefined) this.#byId.delete(id);
    else this.#byId.set(id, shown);
  }

  #look(state: State, id: string, cleared: number, before: Looks | undefined): Shown | undefined {
    const shown = show(state, id, cleared);
    return shown && known(shown, before?.get(id)?.object);
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

/** The properties that may have other values; `undefined` for all there is of an object. */
export type Names = readonly string[] | undefined;

/** Of which an object is better rendered as a whole. */
const MAX_NAMES = 64;

/** What may look otherwise than it did at the last look: objects, or properties of them, by the ids of the objects. */
export class Stale {
  readonly #names = new Map<string, Names>();

  get all(): ReadonlyMap<string, Names> {
    return this.#names;
  }

  has(id: string): boolean {
    return this.#names.has(id);
  }

  add(id: string): void {
    this.#names.set(id, undefined);
  }

  /** No more than these properties, unless there is more of that object already. */
  addProps(id: string, names: readonly string[]): void {
    if (!this.#names.has(id)) {
      this.#names.set(id, names);
      return;
    }
    const others = this.#names.get(id);
    if (others === undefined) return;
    const all = new Set([...others, ...names]);
    this.#names.set(id, all.size > MAX_NAMES ? undefined : [...all]);
  }

  clear(): void {
    this.#names.clear();
  }
}

/** `was`, with these properties as they are now: the very same where that is no other look. */
export function withProps({ objects, top }: State, was: Shown, names: readonly string[]): Shown {
  const object = objects.get(was.object.object_id);
  const before = was.object.props;
  let props: Record<string, Json> | undefined;
  for (const name of names) {
    const chain = object?.props.get(name);
    const value = chain && top(chain)?.value;
    if (isEqual(value, member(before, name))) continue;
    props ??= { ...before };
    if (value === undefined) delete props[name];
    else if (name === "__proto__") Object.defineProperty(props, name, { ...OWN, value });
    else props[name] = value;
  }
  if (props === undefined) return was;
  return { place: was.place, object: { ...was.object, props }, json: undefined };
}

/** As a member that was assigned is: an assignment to `__proto__` makes none. */
const OWN = { configurable: true, enumerable: true, writable: true };

/** An object as it is seen, if it is. How it looks is taken from `known` where that still holds. */
export function show(state: State, id: string, cleared: number, known?: Shown): Shown | undefined {
  const { top } = state;
  const object = state.objects.get(id);
  const place = object?.place(top, cleared);
  if (object === undefined || place === undefined) return undefined;
  return known ?? { place, object: renderObject(id, object, top), json: undefined };
}

/** `shown`, with the JavaScript object that stood for it before if it looks the same. */
export function known(shown: Shown, earlier: ViewObject | undefined): Shown {
  if (earlier === undefined || earlier === shown.object) return shown;
  return isEqual({ ...earlier }, { ...shown.object }) ? { ...shown, object: earlier } : shown;
}

/** By `z`, in UTF-16 code units, then by the create that decides. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.z !== b.z) return a.z < b.z ? -1 : 1;
  return a.created - b.created;
}

function canonicalObject(object: ViewObject): string {
  return canonical({ ...object });
}
