// The still layer as a cache of square bitmaps, so that panning costs a few copies however much is drawn, and a change
// costs only the tiles it touches. What is missing is painted in slices of time; meanwhile the tiles of the zoom before
// stand in. Knows nothing of the page.

import type { Camera } from "./camera.js";
import { type Box, grown, overlaps, type Size } from "./geometry.js";
import type { Entry } from "./scene.js";
import type { PaintEnv } from "./shape.js";

/** The side of a tile, in device pixels. */
const SIDE = 512;
/** Tiles that are kept beyond those that are seen. */
const SPARE = 40;
/** Objects between two looks at the clock. */
const STRIDE = 8;

interface Tile {
  readonly ix: number;
  readonly iy: number;
  /** What it shows; none before it has been painted once. */
  bitmap: HTMLCanvasElement | undefined;
  /** Whether what it shows is not what is there any more. */
  isStale: boolean;
  job: Job | undefined;
  usedAt: number;
}

interface Job {
  readonly bitmap: HTMLCanvasElement;
  readonly entries: readonly Entry[];
  next: number;
}

/** Where device pixels lie: `x = world * scale - left`. Whole pixels, so that tiles meet without seams. */
export interface Frame {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export function frameOf(camera: Camera, size: Size, ratio: number): Frame {
  const scale = camera.zoom * ratio;
  return {
    scale,
    left: Math.round(camera.x * scale),
    top: Math.round(camera.y * scale),
    width: Math.round(size.width * ratio),
    height: Math.round(size.height * ratio),
  };
}

export class Tiles {
  #tiles = new Map<string, Tile>();
  #scale = 0;
  #old: { scale: number; tiles: readonly Tile[] } | undefined;
  readonly #pool: HTMLCanvasElement[] = [];
  #clock = 0;

  constructor(
    readonly query: (box: Box) => readonly Entry[],
    readonly env: (scale: number) => PaintEnv,
  ) {}

  get count(): number {
    return this.#tiles.size;
  }

  /** Everything has to be painted again. */
  invalidateAll(): void {
    for (const tile of this.#tiles.values()) stale(tile);
    this.#dropOld();
  }

  invalidate(box: Box): void {
    for (const tile of this.#tiles.values()) if (overlaps(this.#boxOf(tile), box)) stale(tile);
  }

  /** Paints what is in front of everything onto the tiles as they are. */
  addOnTop(entry: Entry): void {
    for (const tile of this.#tiles.values()) {
      if (!overlaps(this.#boxOf(tile), entry.box)) continue;
      if (tile.job !== undefined) tile.job = this.#drop(tile.job);
      if (tile.bitmap !== undefined) this.#paint(tile, tile.bitmap, [entry]);
    }
  }

  /** Copies what is there of the frame. Returns whether all of it is there, and up to date. */
  draw(ctx: CanvasRenderingContext2D, frame: Frame): boolean {
    this.#clock += 1;
    this.#turnTo(frame.scale);
    const seen = this.#seen(frame, 0);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, frame.width, frame.height);
    const isWhole = seen.every((tile) => tile.bitmap !== undefined);
    if (isWhole) this.#dropOld();
    else this.#drawOld(ctx, frame);
    for (const tile of seen) {
      if (tile.bitmap === undefined) continue;
      const [x, y] = [tile.ix * SIDE - frame.left, tile.iy * SIDE - frame.top];
      if (!isWhole) ctx.clearRect(x, y, SIDE, SIDE);
      ctx.drawImage(tile.bitmap, x, y);
    }
    this.#prune(seen.length);
    return isWhole && seen.every((tile) => !tile.isStale);
  }

  /**
   * Paints what is missing until `deadline`, what is seen first. Returns whether something is left to paint. `ring`: how
   * many tiles beyond the edges are painted ahead.
   */
  work(frame: Frame, deadline: number, ring: number): "done" | "seen" | "more" {
    this.#turnTo(frame.scale);
    for (const around of ring > 0 ? [0, ring] : [0]) {
      const tiles = this.#seen(frame, around).filter((tile) => tile.isStale);
      const middle = { x: frame.left + frame.width / 2, y: frame.top + frame.height / 2 };
      const far = ({ ix, iy }: Tile) =>
        Math.hypot((ix + 0.5) * SIDE - middle.x, (iy + 0.5) * SIDE - middle.y);
      tiles.sort((a, b) => far(a) - far(b));
      for (const tile of tiles) {
        if (!this.#advance(tile, deadline)) return around === 0 ? "more" : "seen";
      }
    }
    return ring === 0 ? "seen" : "done";
  }

  clear(): void {
    this.#tiles.clear();
    this.#old = undefined;
    this.#pool.length = 0;
  }

  /** Goes on painting a tile; false if time was up before it was done. */
  #advance(tile: Tile, deadline: number): boolean {
    tile.job ??= {
      bitmap: this.#blank(),
      entries: this.query(grown(this.#boxOf(tile), 1 / this.#scale)),
      next: 0,
    };
    const { job } = tile;
    while (job.next < job.entries.length) {
      const until = job.next + STRIDE;
      this.#paint(tile, job.bitmap, job.entries.slice(job.next, until));
      job.next = until;
      if (job.next < job.entries.length && performance.now() >= deadline) return false;
    }
    if (tile.bitmap !== undefined) this.#pool.push(tile.bitmap);
    tile.bitmap = job.bitmap;
    tile.isStale = false;
    tile.job = undefined;
    return true;
  }

  #paint(tile: Tile, bitmap: HTMLCanvasElement, entries: readonly Entry[]): void {
    const ctx = bitmap.getContext("2d");
    if (ctx === null) return;
    const scale = this.#scale;
    ctx.setTransform(scale, 0, 0, scale, -tile.ix * SIDE, -tile.iy * SIDE);
    const env = this.env(scale);
    for (const { shape } of entries) shape.paint(ctx, env);
  }

  /** Begins anew at another zoom; what there is of the zoom before stands in for it. */
  #turnTo(scale: number): void {
    if (scale === this.#scale) return;
    const painted = [...this.#tiles.values()].filter((tile) => tile.bitmap !== undefined);
    const isBetter = this.#old === undefined || painted.length >= this.#old.tiles.length;
    for (const tile of this.#tiles.values()) if (tile.job !== undefined) tile.job = this.#drop(tile.job);
    if (painted.length > 0 && isBetter) {
      this.#dropOld();
      this.#old = { scale: this.#scale, tiles: painted };
    } else {
      for (const { bitmap } of painted) if (bitmap !== undefined) this.#pool.push(bitmap);
    }
    this.#tiles = new Map();
    this.#scale = scale;
  }

  #drawOld(ctx: CanvasRenderingContext2D, frame: Frame): void {
    if (this.#old === undefined) return;
    const factor = frame.scale / this.#old.scale;
    // Edges on whole pixels: between them there would be seams.
    const edge = (nth: number, origin: number) => Math.round(nth * SIDE * factor) - origin;
    for (const { ix, iy, bitmap } of this.#old.tiles) {
      const [x, y] = [edge(ix, frame.left), edge(iy, frame.top)];
      const [width, height] = [edge(ix + 1, frame.left) - x, edge(iy + 1, frame.top) - y];
      if (bitmap === undefined || x > frame.width || y > frame.height || x + width < 0 || y + height < 0)
        continue;
      ctx.drawImage(bitmap, x, y, width, height);
    }
  }

  /** The tiles of the frame and of `ring` tiles around it; those that were not there yet are made. */
  #seen(frame: Frame, ring: number): Tile[] {
    const tiles: Tile[] = [];
    const [left, right] = [Math.floor(frame.left / SIDE), Math.floor((frame.left + frame.width - 1) / SIDE)];
    const [top, bottom] = [Math.floor(frame.top / SIDE), Math.floor((frame.top + frame.height - 1) / SIDE)];
    for (let iy = top - ring; iy <= bottom + ring; iy += 1) {
      for (let ix = left - ring; ix <= right + ring; ix += 1) {
        const key = `${ix},${iy}`;
        let tile = this.#tiles.get(key);
        if (tile === undefined) {
          tile = { ix, iy, bitmap: undefined, isStale: true, job: undefined, usedAt: 0 };
          this.#tiles.set(key, tile);
        }
        tile.usedAt = this.#clock;
        tiles.push(tile);
      }
    }
    return tiles;
  }

  #prune(seen: number): void {
    const excess = this.#tiles.size - seen - SPARE;
    if (excess <= 0) return;
    const oldest = [...this.#tiles].sort(([, a], [, b]) => a.usedAt - b.usedAt).slice(0, excess);
    for (const [key, tile] of oldest) {
      if (tile.usedAt === this.#clock) continue;
      this.#tiles.delete(key);
      if (tile.bitmap !== undefined) this.#pool.push(tile.bitmap);
      if (tile.job !== undefined) this.#drop(tile.job);
    }
    this.#pool.length = Math.min(this.#pool.length, SPARE);
  }

  #boxOf({ ix, iy }: Tile): Box {
    const side = SIDE / this.#scale;
    return { minX: ix * side, minY: iy * side, maxX: (ix + 1) * side, maxY: (iy + 1) * side };
  }

  #blank(): HTMLCanvasElement {
    const bitmap = this.#pool.pop() ?? document.createElement("canvas");
    // Setting the size empties it, but also gives up its memory.
    if (bitmap.width !== SIDE) bitmap.width = bitmap.height = SIDE;
    const ctx = bitmap.getContext("2d");
    ctx?.setTransform(1, 0, 0, 1, 0, 0);
    ctx?.clearRect(0, 0, SIDE, SIDE);
    return bitmap;
  }

  #drop(job: Job): undefined {
    this.#pool.push(job.bitmap);
    return undefined;
  }

  #dropOld(): void {
    for (const { bitmap } of this.#old?.tiles ?? []) if (bitmap !== undefined) this.#pool.push(bitmap);
    this.#old = undefined;
    this.#pool.length = Math.min(this.#pool.length, SPARE);
  }
}

function stale(tile: Tile): void {
  tile.isStale = true;
  // Begun with what is no longer there: it begins again.
  tile.job = undefined;
}
