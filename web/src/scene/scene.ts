// The scene: what is on the drawing, where, and in which layer. Takes in views and tells what has to be painted again.
// It paints nothing, and never touches the drawing.

import type { ViewObject } from "../revcast.js";
import type { Box, Vec } from "./geometry.js";
import { Grid } from "./grid.js";
import { type Shape, shapeOf } from "./shape.js";

/** How long after its last change a stroke that was never ended still counts as being drawn, in milliseconds. */
const DRAWN_FOR = 4_000;
/** So many changes at once are not told apart. */
const MANY = 400;

/** An object that can be seen. */
export interface Entry {
  object: ViewObject;
  shape: Shape;
  box: Box;
  /** Its place on the screen: a higher one is in front. */
  order: number;
  /** Whether it is in the moving layer: it is being drawn by somebody. */
  isMoving: boolean;
  changedAt: number;
}

/** What has become of the still layer. */
export interface Changes {
  /** Everything has to be painted again. */
  all: boolean;
  /** What is in these boxes has to be painted again. */
  boxes: Box[];
  /** These are to be painted on top of all others, in this order. */
  onTop: Entry[];
}

export class Scene {
  #objects: readonly ViewObject[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #grid = new Grid<Entry>();
  readonly #moving = new Set<Entry>();
  #lifted: ReadonlySet<string> = new Set();

  get objects(): readonly ViewObject[] {
    return this.#objects;
  }

  get size(): number {
    return this.#entries.size;
  }

  entry(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  /** What is being drawn by others, from the back to the front. */
  get moving(): Entry[] {
    return [...this.#moving].filter((entry) => !this.#lifted.has(entry.object.object_id)).sort(byOrder);
  }

  get hasMoving(): boolean {
    return this.#moving.size > 0;
  }

  /** What of the still layer touches `box`, from the back to the front. */
  still(box: Box): Entry[] {
    return this.#grid
      .query(box)
      .filter((entry) => this.#isStill(entry))
      .sort(byOrder);
  }

  /** The objects under a place, the foremost first. */
  at(place: Vec, slack: number): Entry[] {
    const box = {
      minX: place.x - slack,
      minY: place.y - slack,
      maxX: place.x + slack,
      maxY: place.y + slack,
    };
    return this.#grid
      .query(box)
      .sort(byOrder)
      .reverse()
      .filter((entry) => entry.shape.hit(place, slack));
  }

  /** The objects whose box touches `box`. */
  within(box: Box): Entry[] {
    return this.#grid.query(box).sort(byOrder);
  }

  /** All objects that can be seen, in no order. */
  entries(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Whether the box of any object touches `box`. */
  isAnyIn(box: Box): boolean {
    return this.#grid.some(box);
  }

  /** Takes these objects out of the still layer: something else shows them meanwhile. */
  lift(ids: ReadonlySet<string>): Changes {
    const before = this.#lifted;
    this.#lifted = ids;
    const changes: Changes = { all: false, boxes: [], onTop: [] };
    for (const id of new Set([...before, ...ids])) {
      if (before.has(id) === ids.has(id)) continue;
      const entry = this.#entries.get(id);
      if (entry !== undefined && !entry.isMoving) changes.boxes.push(entry.box);
    }
    if (changes.boxes.length > MANY) changes.all = true;
    return changes;
  }

  /** Settles the strokes that nobody goes on drawing. Returns what to paint. */
  settle(now: number): Changes {
    const changes: Changes = { all: false, boxes: [], onTop: [] };
    for (const entry of [...this.#moving]) {
      if (now - entry.changedAt < DRAWN_FOR) continue;
      this.#moving.delete(entry);
      entry.isMoving = false;
      changes.boxes.push(entry.box);
    }
    return changes;
  }

  /** Takes in what is seen now. */
  sync(objects: readonly ViewObject[], now: number): Changes {
    const before = this.#objects;
    this.#objects = objects;
    const shorter = Math.min(before.length, objects.length);
    let head = 0;
    while (head < shorter && before[head] === objects[head]) head += 1;
    let tail = 0;
    while (tail < shorter - head && before[before.length - 1 - tail] === objects[objects.length - 1 - tail]) {
      tail += 1;
    }

    const changes: Changes = { all: false, boxes: [], onTop: [] };
    const fresh = new Set<Entry>();
    const gone = new Map(
      before.slice(head, before.length - tail).map((object) => [object.object_id, object]),
    );
    let lastOrder = -1;
    for (let nth = head; nth < objects.length - tail; nth += 1) {
      const object = objects[nth];
      if (object === undefined) continue;
      gone.delete(object.object_id);
      const entry = this.#entries.get(object.object_id);
      if (entry?.object === object) {
        // Something in front of it has gone behind it, or the other way round.
        if (entry.order < lastOrder) changes.boxes.push(entry.box);
        lastOrder = Math.max(lastOrder, entry.order);
        continue;
      }
      if (entry !== undefined) lastOrder = Math.max(lastOrder, entry.order);
      this.#replace(object, entry, now, changes, fresh);
    }
    for (const id of gone.keys()) this.#remove(id, changes);
    for (let nth = head; nth < objects.length; nth += 1) {
      const entry = this.#entries.get(objects[nth]?.object_id ?? "");
      if (entry !== undefined) entry.order = nth;
    }
    if (fresh.size + changes.boxes.length > MANY) return { all: true, boxes: [], onTop: [] };
    this.#layOnTop(fresh, changes);
    return changes;
  }

  #isStill(entry: Entry): boolean {
    return !entry.isMoving && !this.#lifted.has(entry.object.object_id);
  }

  #replace(
    object: ViewObject,
    old: Entry | undefined,
    now: number,
    changes: Changes,
    fresh: Set<Entry>,
  ): void {
    const shape = shapeOf(object);
    if (shape === undefined) {
      this.#remove(object.object_id, changes);
      return;
    }
    const isMoving = object.complete === false;
    if (old !== undefined) {
      if (this.#isStill(old)) changes.boxes.push(old.box);
      this.#grid.remove(old);
      this.#moving.delete(old);
    }
    const entry: Entry = { object, shape, box: shape.box, order: old?.order ?? 0, isMoving, changedAt: now };
    this.#entries.set(object.object_id, entry);
    this.#grid.add(entry);
    if (isMoving) this.#moving.add(entry);
    else if (this.#isStill(entry)) fresh.add(entry);
  }

  #remove(id: string, changes: Changes): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (this.#isStill(entry)) changes.boxes.push(entry.box);
    this.#entries.delete(id);
    this.#grid.remove(entry);
    this.#moving.delete(entry);
  }

  /** Tells those of `fresh` that nothing still is in front of from those that need what is around them painted too. */
  #layOnTop(fresh: Set<Entry>, changes: Changes): void {
    for (let nth = this.#objects.length - 1; nth >= 0 && fresh.size > 0; nth -= 1) {
      const entry = this.#entries.get(this.#objects[nth]?.object_id ?? "");
      if (entry === undefined || !this.#isStill(entry)) continue;
      if (!fresh.delete(entry)) break;
      changes.onTop.unshift(entry);
    }
    for (const entry of fresh) changes.boxes.push(entry.box);
  }
}

function byOrder(a: Entry, b: Entry): number {
  return a.order - b.order;
}
