// The cursors of others: one element each, gliding from place to place. Imperative, for they move in every frame; what
// they say is also in the roster, so they are hidden from assistive technology.

import type { Drawing } from "../revcast.js";
import { toScreen } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import type { Stage } from "../scene/stage.js";
import { colourAmong } from "./colour.js";
import { cursorOf } from "./state.js";

/** More of them would hide the drawing. */
const MAX_CURSORS = 60;
/** How much of the way is left after each 16 ms. */
const LEFT_OVER = 0.72;
const ARROW = "M2 1.5 L2 17 L6.2 13 L9 19.4 L11.8 18.2 L9 12 L14.6 11.8 Z";
const SVG = "http://www.w3.org/2000/svg";

interface Cursor {
  readonly element: HTMLElement;
  readonly label: HTMLElement;
  colour: string;
  at: Vec;
  goal: Vec;
}

export class Cursors {
  readonly #cursors = new Map<string, Cursor>();
  readonly #ends: (() => void)[];
  #isHidden = false;
  #lastFrame = 0;

  constructor(
    readonly parent: HTMLElement,
    readonly drawing: Drawing,
    readonly stage: Stage,
  ) {
    this.#ends = [
      drawing.onPresence(() => this.#update()),
      stage.onCamera(() => this.#place()),
      stage.onFrame((now) => this.#frame(now)),
    ];
    this.#update();
  }

  /** The past has no cursors. */
  hide(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#update();
  }

  close(): void {
    for (const end of this.#ends) end();
    for (const { element } of this.#cursors.values()) element.remove();
    this.#cursors.clear();
  }

  #update(): void {
    const there = new Set<string>();
    const { presence } = this.drawing;
    const others = this.#isHidden ? [] : presence.others;
    for (const other of others) {
      const goal = cursorOf(other.state);
      if (goal === undefined || there.size >= MAX_CURSORS) continue;
      const { connection_id, user_id, name, isSelf } = other;
      there.add(connection_id);
      const cursor = this.#cursors.get(connection_id) ?? this.#make(connection_id, goal);
      const colour = colourAmong(presence.users, user_id);
      if (cursor.colour !== colour) cursor.element.style.setProperty("--user", colour);
      cursor.colour = colour;
      const label = isSelf ? "You, elsewhere" : (name ?? user_id);
      if (cursor.label.textContent !== label) cursor.label.textContent = label;
      cursor.goal = goal;
    }
    for (const [id, { element }] of this.#cursors) {
      if (there.has(id)) continue;
      element.remove();
      this.#cursors.delete(id);
    }
    this.stage.touch();
  }

  #make(connectionId: string, at: Vec): Cursor {
    const element = document.createElement("div");
    element.className = "cursor";
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", "18");
    svg.setAttribute("height", "22");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ARROW);
    svg.append(path);
    const label = document.createElement("span");
    element.append(svg, label);
    this.parent.append(element);
    const cursor: Cursor = { element, label, colour: "", at, goal: at };
    this.#cursors.set(connectionId, cursor);
    this.#place(cursor);
    return cursor;
  }

  #frame(now: number): boolean {
    const steps = Math.min(4, Math.max(0.5, (now - this.#lastFrame) / 16));
    this.#lastFrame = now;
    const left = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : LEFT_OVER ** steps;
    let isMoving = false;
    for (const cursor of this.#cursors.values()) {
      const { at, goal } = cursor;
      if (at === goal) continue;
      const next = { x: goal.x + (at.x - goal.x) * left, y: goal.y + (at.y - goal.y) * left };
      const isThere = Math.hypot(next.x - goal.x, next.y - goal.y) * this.stage.camera.zoom < 0.3;
      cursor.at = isThere ? goal : next;
      isMoving ||= !isThere;
      this.#place(cursor);
    }
    return isMoving;
  }

  #place(...cursors: Cursor[]): void {
    for (const { element, at } of cursors.length > 0 ? cursors : this.#cursors.values()) {
      const { x, y } = toScreen(this.stage.camera, at);
      element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
    }
  }
}
