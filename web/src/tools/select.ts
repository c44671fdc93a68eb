// The selection: click, Shift-click, a frame drawn around; moving and scaling what is selected.

import type { Board } from "../board/board.js";
import { type Camera, toScreen } from "../scene/camera.js";
import { type Box, boxOf, grown, holds, moved, overlaps, type Vec } from "../scene/geometry.js";
import { type Handle, handleAt, handleUnder } from "../scene/hit.js";
import type { Entry } from "../scene/scene.js";
import { type PaintEnv, type Shape, shapeOf } from "../scene/shape.js";
import { type Scaling, scaled, scaleOf, shiftOf, withProps } from "./change.js";
import { ACCENT, MARGIN, paintFrame, screenBox, setChanging, strokeBox } from "./marks.js";
import { Picture } from "./picture.js";
import { write } from "./text.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** Pixels that a pointer may stray without it being a drag. */
const STRAY = 3;
/** While few things are moved, the others see it happen: so often, in milliseconds. */
const TELL_EVERY = 120;
const FEW = 12;
/** More objects than this are moved and scaled as a picture of them. */
const MANY = 150;
/** The smallest that a selection may become, of its size before. */
const LEAST_SCALE = 0.02;
const CURSORS: Record<Handle, string> = {
  nw: "nwse-resize",
  n: "ns-resize",
  ne: "nesw-resize",
  e: "ew-resize",
  se: "nwse-resize",
  s: "ns-resize",
  sw: "nesw-resize",
  w: "ew-resize",
};

type Gesture =
  | {
      readonly is: "pressed";
      readonly from: Pointer;
      readonly under: string | undefined;
      readonly was: boolean;
    }
  | {
      readonly is: "frame";
      readonly from: Pointer;
      /** The other corner; none before the pointer has strayed. */
      to: Vec | undefined;
      readonly kept: readonly string[];
    }
  | Drag
  | Resize;

interface Drag {
  readonly is: "drag";
  readonly from: Vec;
  readonly box: Box;
  readonly entries: readonly Entry[];
  picture: Picture | undefined;
  readonly unit: string;
  by: Vec;
  toldAt: number;
  told: Vec;
}

interface Resize {
  readonly is: "resize";
  readonly handle: Handle;
  readonly box: Box;
  readonly entries: readonly Entry[];
  picture: Picture | undefined;
  scaling: Scaling;
}

export class SelectTool implements Tool {
  #gesture: Gesture | undefined;

  constructor(readonly board: Board) {}

  cursor(at: Pointer | undefined): string {
    const gesture = this.#gesture;
    if (gesture?.is === "drag") return "move";
    if (gesture?.is === "resize") return CURSORS[gesture.handle];
    if (at === undefined) return "default";
    const handle = this.#handle(at);
    if (handle !== undefined) return CURSORS[handle];
    const box = this.board.selectionBox();
    const isInside = box !== undefined && holds(box, at.world);
    return isInside || this.#under(at) !== undefined ? "move" : "default";
  }

  down(at: Pointer): boolean {
    const { stage } = this.board;
    stage.sync();
    const handle = this.#handle(at);
    const box = this.board.selectionBox();
    if (handle !== undefined && box !== undefined) {
      const scaling = { from: { x: 0, y: 0 }, x: 1, y: 1 };
      const entries = this.board.selected();
      this.#begin({ is: "resize", handle, box, entries, picture: undefined, scaling });
      return true;
    }
    const under = this.#under(at);
    const { selection } = this.board;
    const was = under !== undefined && selection.includes(under);
    if (under !== undefined && !was) this.board.select(at.shift ? [...selection, under] : [under]);
    const isOnSelection = box !== undefined && holds(box, at.world) && !at.shift;
    if (under === undefined && !isOnSelection) {
      const kept = at.shift ? selection : [];
      this.board.select(kept);
      this.#gesture = { is: "frame", from: at, to: undefined, kept };
    } else {
      this.#gesture = { is: "pressed", from: at, under, was: was || under === undefined };
    }
    return true;
  }

  move(at: Pointer): void {
    const gesture = this.#gesture;
    if (gesture === undefined) return;
    if (gesture.is === "pressed") {
      const box = this.board.selectionBox();
      if (!hasStrayed(gesture.from, at) || box === undefined) return;
      const none = { x: 0, y: 0 };
      const unit = this.board.drawing.newUnit();
      const entries = this.board.selected();
      const from = gesture.from.world;
      const picture = undefined;
      this.#begin({ is: "drag", from, box, entries, picture, unit, by: none, told: none, toldAt: 0 });
      this.move(at);
      return;
    }
    if (gesture.is === "frame") this.#frame(gesture, at);
    if (gesture.is === "drag") this.#drag(gesture, at);
    if (gesture.is === "resize") gesture.scaling = scalingOf(gesture, at);
    this.board.stage.touch();
  }

  up(at: Pointer): void {
    this.move(at);
    const gesture = this.#gesture;
    if (gesture?.is === "pressed") this.#click(gesture, at);
    if (gesture?.is === "drag") {
      const { by, entries } = gesture;
      this.board.stage.linger(entries.map(({ shape }) => shiftedShape(shape, by)));
      this.#tell(gesture);
    }
    if (gesture?.is === "resize") this.#resize(gesture);
    this.#end();
  }

  cancel(): void {
    const gesture = this.#gesture;
    const isTold = gesture?.is === "drag" && (gesture.told.x !== 0 || gesture.told.y !== 0);
    if (isTold && this.board.canEdit) {
      // The others have seen some of it.
      this.board.edit(() => this.board.drawing.edit({ type: "undo", unit: gesture.unit }));
    }
    this.#end();
  }

  doubleClick(at: Pointer): void {
    const under = this.#under(at);
    const object = under === undefined ? undefined : this.board.stage.scene.entry(under)?.object;
    if (object?.kind === "text") write(this.board, object);
  }

  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void {
    const gesture = this.#gesture;
    if (gesture?.is !== "drag" && gesture?.is !== "resize") return;
    const { entries } = gesture;
    const { viewport } = this.board.stage;
    if (entries.length > MANY) gesture.picture ??= new Picture(entries, viewport, env);
    if (gesture.is === "drag") {
      const seen = grown(viewport, 1);
      const { x, y } = gesture.by;
      ctx.translate(x, y);
      if (gesture.picture !== undefined) gesture.picture.draw(ctx);
      else {
        for (const { shape } of entries) {
          if (overlaps(moved(shape.box, x, y), seen)) shape.paint(ctx, env);
        }
      }
      ctx.translate(-x, -y);
    } else if (gesture.picture !== undefined) {
      const { from, x, y } = gesture.scaling;
      ctx.save();
      ctx.translate(from.x, from.y);
      ctx.scale(x, y);
      ctx.translate(-from.x, -from.y);
      gesture.picture.draw(ctx);
      ctx.restore();
    } else {
      for (const entry of gesture.entries) shapeOf(resized(entry, gesture.scaling))?.paint(ctx, env);
    }
  }

  marks(ctx: CanvasRenderingContext2D, camera: Camera): void {
    const gesture = this.#gesture;
    if (gesture?.is === "frame" && gesture.to !== undefined) {
      const box = boxOf(toScreen(camera, gesture.from.world), toScreen(camera, gesture.to));
      ctx.fillStyle = `${ACCENT}1a`;
      ctx.fillRect(box.minX, box.minY, box.maxX - box.minX, box.maxY - box.minY);
      ctx.strokeStyle = ACCENT;
      ctx.lineWidth = 1;
      strokeBox(ctx, box);
    }
    if (gesture?.is === "drag") {
      paintFrame(ctx, screenBox(camera, moved(gesture.box, gesture.by.x, gesture.by.y), MARGIN));
    }
    if (gesture?.is === "resize") {
      const { box, scaling } = gesture;
      const a = scaled({ x: box.minX, y: box.minY }, scaling);
      paintFrame(ctx, screenBox(camera, boxOf(a, scaled({ x: box.maxX, y: box.maxY }, scaling)), MARGIN));
    }
  }

  #begin(gesture: Drag | Resize): void {
    this.#gesture = gesture;
    setChanging(true);
    this.board.stage.lift(new Set(gesture.entries.map(({ object }) => object.object_id)));
  }

  #end(): void {
    const gesture = this.#gesture;
    this.#gesture = undefined;
    if (gesture?.is === "drag" || gesture?.is === "resize") {
      setChanging(false);
      this.board.stage.lift(new Set());
    }
    this.board.stage.touch();
  }

  #click(
    { under, was }: { under: string | undefined; was: boolean },
    { shift, world, slack }: Pointer,
  ): void {
    if (!was) return;
    const { selection } = this.board;
    if (shift) this.board.select(selection.filter((id) => id !== under));
    else {
      const [front] = this.board.stage.scene.at(world, slack);
      this.board.select(front === undefined ? [] : [under ?? front.object.object_id]);
    }
  }

  #frame(gesture: Extract<Gesture, { is: "frame" }>, at: Pointer): void {
    if (gesture.to === undefined && !hasStrayed(gesture.from, at)) return;
    gesture.to = at.world;
    const box = boxOf(gesture.from.world, gesture.to);
    const inside = this.board.stage.scene
      .within(box)
      .filter((entry) => entry.object.kind !== "fog" || this.board.isOwner)
      .map(({ object }) => object.object_id);
    this.board.select([...new Set([...gesture.kept, ...inside])]);
  }

  #drag(gesture: Drag, at: Pointer): void {
    let [x, y] = [at.world.x - gesture.from.x, at.world.y - gesture.from.y];
    if (at.shift) [x, y] = Math.abs(x) > Math.abs(y) ? [x, 0] : [0, y];
    gesture.by = { x: quantized(x), y: quantized(y) };
    const now = performance.now();
    if (gesture.entries.length > FEW || now - gesture.toldAt < TELL_EVERY) return;
    gesture.toldAt = now;
    this.#tell(gesture);
  }

  #tell(gesture: Drag): void {
    const { by, told, entries, unit } = gesture;
    if (by.x === told.x && by.y === told.y) return;
    gesture.told = by;
    const changes = entries.map(({ object }) => ({
      object_id: object.object_id,
      set: shiftOf(object, by.x, by.y),
    }));
    this.board.edit(() => this.board.drawing.updateObjects(changes, unit));
  }

  #resize({ entries, scaling }: Resize): void {
    if (scaling.x === 1 && scaling.y === 1) return;
    const { drawing, stage } = this.board;
    const shapes = entries.flatMap((entry) => shapeOf(resized(entry, scaling)) ?? []);
    stage.linger(shapes);
    const changes = entries
      .map(({ object }) => ({ object_id: object.object_id, set: scaleOf(object, scaling) }))
      .filter(({ set }) => Object.keys(set).length > 0);
    this.board.edit(() => drawing.updateObjects(changes));
  }

  #handle(at: Pointer): Handle | undefined {
    const { selection } = this.board;
    if (selection.length === 0) return undefined;
    const box = this.board.selectionBox();
    if (box === undefined) return undefined;
    const reach = at.isTouch ? 18 : 8;
    return handleUnder(screenBox(this.board.stage.camera, box, MARGIN), at.screen, reach);
  }

  #under({ world, slack }: Pointer): string | undefined {
    const found = this.board.stage.scene
      .at(world, slack)
      .find(({ object }) => object.kind !== "fog" || this.board.isOwner);
    return found?.object.object_id;
  }
}

/** Whether a press has become a drag. */
function hasStrayed(from: Pointer, at: Pointer): boolean {
  return Math.hypot(at.screen.x - from.screen.x, at.screen.y - from.screen.y) >= STRAY;
}

function resized({ object }: Entry, scaling: Scaling) {
  return withProps(object, scaleOf(object, scaling));
}

function shiftedShape(shape: Shape, by: Vec): Shape {
  return {
    ...shape,
    box: moved(shape.box, by.x, by.y),
    paint(ctx, env) {
      ctx.translate(by.x, by.y);
      shape.paint(ctx, env);
      ctx.translate(-by.x, -by.y);
    },
  };
}

function scalingOf({ handle, box, entries }: Resize, at: Pointer): Scaling {
  const from = handleAt(box, opposite(handle));
  const grip = handleAt(box, handle);
  const factor = (to: number, start: number, origin: number) =>
    Math.abs(start - origin) < 1e-6 ? 1 : Math.max(LEAST_SCALE, (to - origin) / (start - origin));
  let x = handle === "n" || handle === "s" ? 1 : factor(at.world.x, grip.x, from.x);
  let y = handle === "e" || handle === "w" ? 1 : factor(at.world.y, grip.y, from.y);
  const keepsShape = entries.every(({ object }) => object.kind === "image" || object.kind === "text");
  if (handle.length === 2 && keepsShape !== at.shift) x = y = Math.max(x, y);
  return { from, x, y };
}

function opposite(handle: Handle): Handle {
  const other: Record<string, string> = { n: "s", s: "n", e: "w", w: "e" };
  return [...handle].map((side) => other[side] ?? side).join("") as Handle;
}
