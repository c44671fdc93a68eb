// The stage: two canvases, the camera, and one redraw per animation frame at most. It shows what it is given: it knows
// nothing of tools, and never changes the drawing.

import type { View } from "../revcast.js";
import { between, type Camera, fitting, HOME, isNear, MIN_ZOOM, viewportOf } from "./camera.js";
import { framed } from "./framing.js";
import { type Box, contains, grown, overlaps, type Size } from "./geometry.js";
import { onImage } from "./kinds/image.js";
import { colour } from "./props.js";
import { type Changes, Scene } from "./scene.js";
import type { PaintEnv, Shape } from "./shape.js";
import { frameOf, Tiles } from "./tiles.js";

export const PAPER = "#ffffff";
/** More would be seen by nobody and painted by everybody. */
const MAX_RATIO = 2;
/** Milliseconds of a frame that go into painting tiles: while something else happens, and while nothing does. */
const BUSY_SLICE = 5;
const IDLE_SLICE = 11;
/** Tiles painted ahead beyond the edges, when there is nothing else to do. */
const RING = 1;
/** How much of the way to its goal a gliding camera goes in 16 ms. */
const GLIDE = 0.22;
const FIT_MARGIN = 64;

/** What is painted over the still layer, beside the strokes of others. */
export interface Overlay {
  /** In world units, below the marks. */
  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void;
  /** In CSS pixels: handles, frames. */
  marks(ctx: CanvasRenderingContext2D, camera: Camera): void;
}

export class Stage {
  readonly scene = new Scene();
  readonly #still: HTMLCanvasElement;
  readonly #moving: HTMLCanvasElement;
  readonly #tiles: Tiles;
  readonly #observer: ResizeObserver;
  readonly #endImages: () => void;
  #endRatio: () => void = () => {};
  readonly #onCamera = new Set<(camera: Camera) => void>();
  readonly #onFrame = new Set<(now: number) => boolean>();
  #camera: Camera = HOME;
  #goal: Camera | undefined;
  #size: Size = { width: 1, height: 1 };
  #ratio = 1;
  #paper = PAPER;
  #ghosts: { readonly shapes: readonly Shape[] } | undefined;
  #isStillDirty = true;
  /** Whether there are tiles to be painted ahead. */
  #hasWork = false;
  #isMovingDirty = true;
  #lastInput = 0;
  #request = 0;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;
  #isOpen = true;
  /** Gives the view to be shown; asked once a frame after `viewChanged()`. */
  #readView: (() => View) | undefined;
  overlay: Overlay | undefined;
  /** What each frame took, for the measuring hook. */
  onWork: ((milliseconds: number) => void) | undefined;

  constructor(
    readonly element: HTMLElement,
    still: HTMLCanvasElement,
    moving: HTMLCanvasElement,
  ) {
    this.#still = still;
    this.#moving = moving;
    this.#tiles = new Tiles(
      (box) => this.scene.still(box),
      (scale) => ({ scale, paper: this.#paper }),
    );
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(element);
    this.#watchRatio();
    this.#endImages = onImage(() => {
      this.#tiles.invalidateAll();
      this.redraw();
    });
    this.#resize();
  }

  get camera(): Camera {
    return this.#camera;
  }

  get size(): Size {
    return this.#size;
  }

  get viewport(): Box {
    return viewportOf(this.#camera, this.#size);
  }

  get tileCount(): number {
    return this.#tiles.count;
  }

  /** Puts the camera there at once. */
  look(camera: Camera): void {
    this.#goal = undefined;
    this.#setCamera(camera);
  }

  /** Lets the camera go there, smoothly where motion is welcome. */
  glide(camera: Camera): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.look(camera);
    } else {
      this.#goal = camera;
      this.#schedule();
    }
  }

  /**
   * Shows all of the drawing, or as much as can be seen of a wide one, or the beginning of an empty one. Returns whether it
   * is all.
   */
  fit(isSmooth: boolean): boolean {
    const margin = this.#margin();
    const { width, height } = this.#size;
    const room = { width: (width - 2 * margin) / MIN_ZOOM, height: (height - 2 * margin) / MIN_ZOOM };
    const things = this.scene.entries();
    const box = framed(things, room);
    const camera = box === undefined ? this.#centred() : fitting(box, this.#size, margin, 1);
    if (isSmooth) this.glide(camera);
    else this.look(camera);
    return box === undefined || things.every((thing) => contains(box, thing.box));
  }

  /** Has a box in view; where it is already, nothing moves. */
  reveal(box: Box): void {
    if (contains(this.viewport, box)) return;
    this.glide(fitting(box, this.#size, this.#margin(), this.#camera.zoom));
  }

  /** The listener returns nothing of interest; the returned function ends it. */
  onCamera(listener: (camera: Camera) => void): () => void {
    this.#onCamera.add(listener);
    return () => this.#onCamera.delete(listener);
  }

  /** Called in each frame that is painted; one that returns true wants another. */
  onFrame(listener: (now: number) => boolean): () => void {
    this.#onFrame.add(listener);
    return () => this.#onFrame.delete(listener);
  }

  /** The view is another now. It is read when it is painted. */
  viewChanged(read: () => View): void {
    this.#readView = read;
    this.#schedule();
  }

  /** Reads the view now, for somebody who is about to ask the scene. */
  sync(): void {
    const read = this.#readView;
    if (read === undefined) return;
    this.#readView = undefined;
    const view = read();
    const paper = colour(view.canvas, "background") ?? PAPER;
    if (paper !== this.#paper) {
      this.#paper = paper;
      this.#still.style.backgroundColor = paper === PAPER ? "" : paper;
      this.#tiles.invalidateAll();
      this.#isStillDirty = true;
    }
    this.#take(this.scene.sync(view.objects, performance.now()));
    this.#isMovingDirty = true;
    this.#watchMoving();
  }

  /** These objects are shown by the overlay from now on. */
  lift(ids: ReadonlySet<string>): void {
    this.#take(this.scene.lift(ids));
    this.#isMovingDirty = true;
    this.#schedule();
  }

  /** Goes on showing these until the still layer does. */
  linger(shapes: readonly Shape[]): void {
    this.#ghosts = { shapes: [...(this.#ghosts?.shapes ?? []), ...shapes] };
    this.touch();
  }

  /** The moving layer has to be painted again. */
  touch(): void {
    this.#isMovingDirty = true;
    this.#schedule();
  }

  redraw(): void {
    this.#isStillDirty = true;
    this.#isMovingDirty = true;
    this.#schedule();
  }

  close(): void {
    this.#isOpen = false;
    cancelAnimationFrame(this.#request);
    clearTimeout(this.#settleTimer);
    this.#observer.disconnect();
    this.#endImages();
    this.#endRatio();
    this.#tiles.clear();
    this.#onCamera.clear();
    this.#onFrame.clear();
  }

  #centred(): Camera {
    return { x: -this.#size.width / 2, y: -this.#size.height / 2, zoom: 1 };
  }

  #margin(): number {
    return Math.min(FIT_MARGIN + 16, this.#size.width / 8);
  }

  #setCamera(camera: Camera): void {
    if (camera === this.#camera) return;
    this.#camera = camera;
    this.#lastInput = performance.now();
    this.redraw();
    for (const listener of this.#onCamera) listener(camera);
  }

  #take({ all, boxes, onTop }: Changes): void {
    if (all) this.#tiles.invalidateAll();
    for (const box of boxes) this.#tiles.invalidate(grown(box, 2 / this.#camera.zoom));
    for (const entry of onTop) this.#tiles.addOnTop(entry);
    if (all || boxes.length > 0 || onTop.length > 0) this.#isStillDirty = true;
  }

  /** Strokes that nobody ends become still some time after their last point. */
  #watchMoving(): void {
    if (!this.scene.hasMoving || this.#settleTimer !== undefined) return;
    this.#settleTimer = setTimeout(() => {
      this.#settleTimer = undefined;
      this.#take(this.scene.settle(performance.now()));
      this.#watchMoving();
      this.touch();
    }, 1_000);
  }

  /** Follows the page to other screens, and to other zooms of the browser: its size need not change by that. */
  #watchRatio(): void {
    const query = matchMedia(`(resolution: ${devicePixelRatio || 1}dppx)`);
    const follow = (): void => {
      this.#watchRatio();
      this.#resize();
    };
    query.addEventListener("change", follow, { once: true });
    this.#endRatio = () => query.removeEventListener("change", follow);
  }

  #resize(): void {
    const { width, height } = this.element.getBoundingClientRect();
    this.#size = { width: Math.max(1, width), height: Math.max(1, height) };
    this.#ratio = Math.min(MAX_RATIO, devicePixelRatio || 1);
    for (const canvas of [this.#still, this.#moving]) {
      canvas.width = Math.round(this.#size.width * this.#ratio);
      canvas.height = Math.round(this.#size.height * this.#ratio);
    }
    this.#isStillDirty = this.#isMovingDirty = true;
    // Now, not in the next frame: setting the size has emptied the canvases.
    this.#paint(performance.now());
    for (const listener of this.#onCamera) listener(this.#camera);
  }

  #schedule(): void {
    if (this.#request !== 0 || !this.#isOpen) return;
    this.#request = requestAnimationFrame((now) => {
      this.#request = 0;
      this.#paint(now);
    });
  }

  #paint(now: number): void {
    const begun = performance.now();
    this.#glideOn();
    this.sync();
    let wantsMore = this.#goal !== undefined;
    for (const listener of this.#onFrame) if (listener(now)) wantsMore = true;
    if ((this.#isStillDirty || this.#hasWork) && this.#paintStill(begun)) wantsMore = true;
    if (this.#isMovingDirty) this.#paintMoving();
    this.onWork?.(performance.now() - begun);
    if (wantsMore) this.#schedule();
  }

  /** Returns whether there is more to do. */
  #paintStill(begun: number): boolean {
    const ctx = this.#still.getContext("2d");
    if (ctx === null) return false;
    const frame = frameOf(this.#camera, this.#size, this.#ratio);
    const isBusy = begun - this.#lastInput < 100;
    const left = this.#tiles.work(frame, begun + (isBusy ? BUSY_SLICE : IDLE_SLICE), isBusy ? 0 : RING);
    this.#hasWork = left !== "done";
    if (this.#isStillDirty) {
      const isWhole = this.#tiles.draw(ctx, frame);
      this.#isStillDirty = !isWhole;
      if (isWhole && this.#ghosts !== undefined) {
        this.#ghosts = undefined;
        this.#isMovingDirty = true;
      }
    }
    return this.#isStillDirty || this.#hasWork;
  }

  #paintMoving(): void {
    this.#isMovingDirty = false;
    const ctx = this.#moving.getContext("2d");
    if (ctx === null) return;
    const { scale, left, top } = frameOf(this.#camera, this.#size, this.#ratio);
    const env = { scale, paper: this.#paper };
    const seen = this.viewport;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, this.#moving.width, this.#moving.height);
    ctx.setTransform(scale, 0, 0, scale, -left, -top);
    for (const { shape } of this.scene.moving) if (overlaps(shape.box, seen)) shape.paint(ctx, env);
    for (const shape of this.#ghosts?.shapes ?? []) shape.paint(ctx, env);
    this.overlay?.paint(ctx, env);
    const ratio = this.#ratio;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.overlay?.marks(ctx, this.#camera);
  }

  #glideOn(): void {
    if (this.#goal === undefined) return;
    const goal = this.#goal;
    const next = between(this.#camera, goal, GLIDE, this.#size);
    const isThere = isNear(next, goal);
    this.#setCamera(isThere ? goal : next);
    if (isThere) this.#goal = undefined;
  }
}
