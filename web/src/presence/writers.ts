// Who is changing which text: a name above it. What is written is seen once they are done. Imperative, as cursors are.

import type { Drawing, Other } from "../revcast.js";
import { toScreen } from "../scene/camera.js";
import type { Stage } from "../scene/stage.js";
import { colourAmong } from "./colour.js";
import { editingOf } from "./state.js";

/** Above a text, in pixels. */
const LIFT = 24;
/** From the edge of the screen, in pixels. */
const EDGE = 8;

/** "Bob is writing", of all who are changing the text of an object; empty if nobody is. */
export function writersOf(others: readonly Other[], objectId: string | undefined): string {
  const there = others.filter(({ state }) => objectId !== undefined && editingOf(state) === objectId);
  const names = [...new Set(there.map(({ name, user_id, isSelf }) => (isSelf ? "You" : (name ?? user_id))))];
  if (names.length === 0) return "";
  const [first = ""] = names;
  if (names.length === 1) return first === "You" ? "You are writing elsewhere" : `${first} is writing`;
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are writing`;
}

export class Writers {
  readonly #labels = new Map<string, HTMLElement>();
  readonly #ends: (() => void)[];
  #isHidden = false;

  constructor(
    readonly parent: HTMLElement,
    readonly drawing: Drawing,
    readonly stage: Stage,
  ) {
    this.#ends = [
      drawing.onPresence(() => this.#update()),
      drawing.onChange(() => this.#update()),
      stage.onCamera(() => this.#update()),
    ];
    this.#update();
  }

  /** Nobody writes in the past. */
  hide(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#update();
  }

  close(): void {
    for (const end of this.#ends) end();
    for (const label of this.#labels.values()) label.remove();
    this.#labels.clear();
  }

  #update(): void {
    const { others, users } = this.drawing.presence;
    const writing = new Map<string, Other>();
    for (const other of this.#isHidden ? [] : others) {
      const id = editingOf(other.state);
      if (id !== undefined) writing.set(id, other);
    }
    for (const [id, label] of this.#labels) {
      if (writing.has(id)) continue;
      label.remove();
      this.#labels.delete(id);
    }
    if (writing.size === 0) return;
    this.stage.sync();
    for (const [id, other] of writing) {
      const box = this.stage.scene.entry(id)?.box;
      const label = this.#labels.get(id) ?? this.#make(id);
      label.hidden = box === undefined;
      if (box === undefined) continue;
      const words = writersOf(others, id);
      if (label.textContent !== words) label.textContent = words;
      label.style.setProperty("--user", colourAmong(users, other.user_id));
      const { x, y } = toScreen(this.stage.camera, { x: box.minX, y: box.minY });
      const right = toScreen(this.stage.camera, { x: box.maxX, y: box.maxY }).x;
      // Of a text that begins beyond the edge, too, the name is seen.
      const left = Math.max(x, Math.min(EDGE, right - EDGE));
      label.style.transform = `translate(${left.toFixed(1)}px, ${(y - LIFT).toFixed(1)}px)`;
    }
  }

  #make(id: string): HTMLElement {
    const label = document.createElement("div");
    label.className = "writer";
    label.dataset.testid = "writer";
    this.parent.append(label);
    this.#labels.set(id, label);
    return label;
  }
}
