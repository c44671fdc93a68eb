// From the events of the page to the tools: pointers, two fingers, the wheel. Owns which gesture is under way; what it
// does is the tool's business.

import type { Board } from "../board/board.js";
import { clampZoom, panned, toWorld, zoomedTo } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import type { Pointer, Tool } from "./tool.js";

/** How near counts as on something, in pixels. */
const SLACK = { mouse: 4, touch: 12 };
/** A second finger, or the system, takes a gesture back that is younger, in milliseconds. */
const TAKE_BACK = 260;
const DOUBLE_CLICK = 350;
const WHEEL_LINE = 24;

/** How long after a pen the hand that holds it may still rest on the screen, in milliseconds. */
const PALM_FOR = 500;
/** Pixels that a finger may stray without having done anything. */
const STRAY = 6;

interface Gesture {
  readonly pointerId: number;
  readonly tool: Tool;
  /** Whether the tool was put in place of the chosen one. */
  readonly isHeld: boolean;
  readonly isPen: boolean;
  /** When it began, in milliseconds of the page, and where. */
  readonly began: number;
  readonly from: Vec;
  /** The last that was seen of its pointer. */
  at: Pointer;
}

export class Input {
  readonly #board: Board;
  readonly #element: HTMLElement;
  readonly #abort = new AbortController();
  #gesture: Gesture | undefined;
  readonly #fingers = new Map<number, Vec>();
  #pinch: { readonly distance: number; readonly middle: Vec } | undefined;
  #isSpaceHeld = false;
  #last: { time: number; at: Vec } | undefined;
  #hovered: Pointer | undefined;
  #penSeenAt = -Infinity;
  /** Where the pointer is, in world units; none when it has left. */
  onPoint: ((world: Vec | null) => void) | undefined;

  constructor(board: Board) {
    this.#board = board;
    this.#element = board.stage.element;
    const { signal } = this.#abort;
    const on = <K extends keyof HTMLElementEventMap>(type: K, act: (event: HTMLElementEventMap[K]) => void) =>
      this.#element.addEventListener(type, act, { signal, passive: false });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#cancel(event));
    on("pointerleave", () => this.#leave());
    on("wheel", (event) => this.#wheel(event));
    on("contextmenu", (event) => event.preventDefault());
    // Safari's own pinching of the page.
    this.#element.addEventListener("gesturestart", (event) => event.preventDefault(), { signal });
    window.addEventListener("blur", () => this.holdSpace(false), { signal });
    // Before the client sends for the last time what there is: the end is to be in it.
    window.addEventListener("pagehide", () => this.#leavePage(), { signal, capture: true });
    board.abandon = () => this.abandon();
    board.isBusy = () => this.#gesture !== undefined;
  }

  /** While Space is down, every tool is the hand. */
  holdSpace(isHeld: boolean): void {
    if (this.#isSpaceHeld === isHeld) return;
    this.#isSpaceHeld = isHeld;
    if (this.#gesture === undefined) this.#board.hold(isHeld ? "hand" : undefined);
    this.refreshCursor();
  }

  refreshCursor(): void {
    this.#element.style.cursor = this.#board.tool.cursor(this.#hovered);
  }

  /** Ends what is under way as if it had not been. Returns whether something was. */
  abandon(): boolean {
    const gesture = this.#gesture;
    if (gesture === undefined) return false;
    this.#finish();
    gesture.tool.cancel();
    return true;
  }

  close(): void {
    this.abandon();
    this.#abort.abort();
  }

  #down(event: PointerEvent): void {
    event.preventDefault();
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    this.#lookForPen(event);
    if (event.pointerType === "pen") this.#beginWithPen();
    if (event.pointerType === "touch") {
      // The hand that holds the pen rests on the screen.
      if (this.#gesture?.isPen === true || event.timeStamp - this.#penSeenAt < PALM_FOR) return;
      this.#fingers.set(event.pointerId, this.#place(event));
      if (this.#fingers.size === 2) this.#beginPinch(event);
      if (this.#fingers.size >= 2) return;
    }
    // It cannot go down twice: where it came up was elsewhere.
    if (this.#gesture?.pointerId === event.pointerId) this.#letGo();
    if (this.#gesture !== undefined || this.#pinch !== undefined) return;
    const isHand = event.button === 1 || this.#isSpaceHeld;
    // The other end of a pen.
    const isEraser = event.button === 5 && this.#board.canEdit;
    if (event.button !== 0 && event.button !== 5 && !isHand) return;
    const isHeld = isHand || isEraser;
    if (isHeld) this.#board.hold(isHand ? "hand" : "eraser");
    const { tool } = this.#board;
    const at = this.#pointer(event);
    if (!tool.down(at)) return;
    const isPen = event.pointerType === "pen";
    const { pointerId, timeStamp: began } = event;
    this.#gesture = { pointerId, tool, isHeld, isPen, began, from: at.screen, at };
    this.#element.setPointerCapture(event.pointerId);
    this.refreshCursor();
  }

  #move(event: PointerEvent): void {
    this.#lookForPen(event);
    if (event.pointerType === "touch" && !this.#fingers.has(event.pointerId)) return;
    if (this.#fingers.has(event.pointerId)) this.#fingers.set(event.pointerId, this.#place(event));
    if (this.#pinch !== undefined) {
      this.#goOnPinching();
      return;
    }
    // What was let go while the page was not looked at comes back with no button pressed, and nobody has said so.
    const isUp = event.pointerType !== "touch" && event.buttons === 0;
    if (isUp && this.#gesture?.pointerId === event.pointerId) this.#letGo();
    const gesture = this.#gesture;
    const at = this.#pointer(event);
    this.onPoint?.(at.world);
    if (gesture === undefined) {
      if (event.pointerType === "touch") return;
      this.#hovered = at;
      this.refreshCursor();
    } else if (gesture.pointerId === event.pointerId) {
      gesture.at = at;
      gesture.tool.move(at);
    }
  }

  #up(event: PointerEvent): void {
    this.#lift(event);
    const gesture = this.#gesture;
    if (gesture?.pointerId !== event.pointerId) return;
    this.#finish();
    const at = this.#pointer(event);
    gesture.tool.up(at);
    this.#countClick(event, at, gesture.tool);
    this.refreshCursor();
  }

  #cancel(event: PointerEvent): void {
    this.#lift(event);
    const gesture = this.#gesture;
    if (gesture?.pointerId !== event.pointerId) return;
    // The system takes the finger away, as for a call or at the edge of the screen. Others have seen what it has drawn.
    if (event.timeStamp - gesture.began < TAKE_BACK) this.abandon();
    else this.#letGo();
  }

  /** Finishes what is under way where its pointer was last seen. */
  #letGo(): void {
    const gesture = this.#gesture;
    if (gesture === undefined) return;
    this.#finish();
    gesture.tool.up({ ...gesture.at, path: [] });
    this.refreshCursor();
  }

  /** Which fingers and buttons are down when the page is back, if it ever is, nobody knows. */
  #leavePage(): void {
    this.#letGo();
    this.#fingers.clear();
    this.#pinch = undefined;
    this.holdSpace(false);
  }

  #leave(): void {
    if (this.#gesture !== undefined) return;
    this.#hovered = undefined;
    this.onPoint?.(null);
  }

  #finish(): void {
    const gesture = this.#gesture;
    this.#gesture = undefined;
    if (gesture?.isHeld) this.#board.hold(this.#isSpaceHeld ? "hand" : undefined);
  }

  #lift({ pointerId }: PointerEvent): void {
    this.#fingers.delete(pointerId);
    // The finger that stays does nothing until it is lifted, too.
    if (this.#fingers.size === 0) this.#pinch = undefined;
    else if (this.#pinch !== undefined) this.#pinch = this.#spread();
  }

  #lookForPen({ pointerType, timeStamp }: PointerEvent): void {
    if (pointerType === "pen") this.#penSeenAt = timeStamp;
  }

  /** What touched the screen before the pen was the hand that holds it. */
  #beginWithPen(): void {
    if (this.#fingers.size === 0) return;
    this.#fingers.clear();
    this.#pinch = undefined;
    this.abandon();
  }

  #countClick(event: PointerEvent, at: Pointer, tool: Tool): void {
    const last = this.#last;
    this.#last = { time: event.timeStamp, at: at.screen };
    if (last === undefined || event.timeStamp - last.time > DOUBLE_CLICK) return;
    if (Math.hypot(last.at.x - at.screen.x, last.at.y - at.screen.y) > 8) return;
    this.#last = undefined;
    tool.doubleClick?.(at);
  }

  #beginPinch(event: PointerEvent): void {
    const gesture = this.#gesture;
    if (gesture !== undefined) {
      // What one finger has begun was meant to be two fingers, or else it is done.
      const { from, at } = gesture;
      const hasStrayed = Math.hypot(at.screen.x - from.x, at.screen.y - from.y) > STRAY;
      if (event.timeStamp - gesture.began < TAKE_BACK || !hasStrayed) this.abandon();
      else this.#letGo();
    }
    this.#board.drawing.presence.follow(null);
    this.#pinch = this.#spread();
  }

  #goOnPinching(): void {
    const before = this.#pinch;
    const now = this.#spread();
    if (before === undefined || now === undefined) return;
    this.#pinch = now;
    const { stage } = this.#board;
    const pushed = panned(stage.camera, now.middle.x - before.middle.x, now.middle.y - before.middle.y);
    stage.look(zoomedTo(pushed, now.middle, pushed.zoom * (now.distance / before.distance)));
  }

  #spread(): { distance: number; middle: Vec } | undefined {
    const [a, b] = [...this.#fingers.values()];
    if (a === undefined || b === undefined) return this.#pinch;
    const distance = Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    return { distance, middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } };
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const { stage, drawing } = this.#board;
    drawing.presence.follow(null);
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? WHEEL_LINE : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    if (event.ctrlKey || event.metaKey) {
      // Pinching a touchpad comes as small steps, a wheel as large ones.
      const step = Math.max(-60, Math.min(60, dy));
      stage.look(
        zoomedTo(stage.camera, this.#place(event), clampZoom(stage.camera.zoom * 2 ** (-step / 90))),
      );
    } else if (event.shiftKey && dx === 0) {
      stage.look(panned(stage.camera, -dy, 0));
    } else {
      stage.look(panned(stage.camera, -dx, -dy));
    }
    this.onPoint?.(toWorld(stage.camera, this.#place(event)));
  }

  #place({ clientX, clientY }: MouseEvent): Vec {
    const { left, top } = this.#element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  #pointer(event: PointerEvent): Pointer {
    const { camera } = this.#board.stage;
    const { left, top } = this.#element.getBoundingClientRect();
    const isTouch = event.pointerType === "touch";
    const sample = ({ clientX, clientY, pressure }: PointerEvent) => ({
      world: toWorld(camera, { x: clientX - left, y: clientY - top }),
      // A mouse says one half, whatever happens; so does many a finger.
      pressure: event.pointerType === "pen" ? pressure : undefined,
    });
    const samples = event.type === "pointermove" ? coalesced(event) : [];
    const now = sample(event);
    const path = samples.length > 0 ? samples.map(sample) : [now];
    return {
      world: now.world,
      screen: { x: event.clientX - left, y: event.clientY - top },
      // Lifting has no pressure; it must not make the end of a line thin.
      pressure: now.pressure === 0 ? undefined : now.pressure,
      shift: event.shiftKey,
      alt: event.altKey,
      slack: (isTouch ? SLACK.touch : SLACK.mouse) / camera.zoom,
      isTouch,
      path: event.type === "pointerup" ? [{ world: now.world, pressure: undefined }] : path,
    };
  }
}

/** The places between two events, where the browser tells them. */
function coalesced(event: PointerEvent): PointerEvent[] {
  return "getCoalescedEvents" in event ? event.getCoalescedEvents() : [];
}
