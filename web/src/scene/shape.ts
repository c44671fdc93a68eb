// What an object looks like: its box, how to paint it, and whether a place is on it. Kept for as long as the object is.

import type { ViewObject } from "../revcast.js";
import { type Box, centreOf, turned, turnedBox, type Vec } from "./geometry.js";
import { boxShape, ellipseShape, fogShape, placeholderShape } from "./kinds/box.js";
import { imageShape } from "./kinds/image.js";
import { lineShape, pathShape } from "./kinds/line.js";
import { strokeShape } from "./kinds/stroke.js";
import { textShape, tokenShape } from "./kinds/text.js";
import { opacity, rotation } from "./props.js";

/** What painting depends on beside the object. */
export interface PaintEnv {
  /** Device pixels per world unit: what is too small to be seen need not be exact. */
  readonly scale: number;
  /** The colour behind everything. */
  readonly paper: string;
}

export interface Shape {
  /** All that it may cover. */
  readonly box: Box;
  /** Its opacity where its props have none. */
  readonly opacity?: number;
  /** Paints in world units. Leaves the transform as it was; colours and widths are its own business. */
  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void;
  /** Whether `at` is on it, or not farther than `slack` from it. */
  hit(at: Vec, slack: number): boolean;
  /** Resolves once all of it can be painted, or is known not to be paintable; missing where that is so at once. */
  ready?(): Promise<void>;
}

const shapes = new WeakMap<ViewObject, Shape | null>();

/** The shape of an object; none if there is nothing of it to see. */
export function shapeOf(object: ViewObject): Shape | undefined {
  let shape = shapes.get(object);
  if (shape === undefined) {
    shape = made(object) ?? null;
    shapes.set(object, shape);
  }
  return shape ?? undefined;
}

function made(object: ViewObject): Shape | undefined {
  const shape = ofKind(object);
  if (shape === undefined) return undefined;
  const alpha = opacity(object.props) ?? shape.opacity ?? 1;
  const degrees = rotation(object.props);
  if (alpha === 1 && degrees === 0) return shape;
  const centre = centreOf(shape.box);
  return {
    ...shape,
    box: turnedBox(shape.box, degrees),
    paint(ctx, env) {
      ctx.save();
      // Within a group that is painted faintly already, it is fainter still.
      ctx.globalAlpha *= alpha;
      if (degrees !== 0) {
        ctx.translate(centre.x, centre.y);
        ctx.rotate((degrees * Math.PI) / 180);
        ctx.translate(-centre.x, -centre.y);
      }
      shape.paint(ctx, env);
      ctx.restore();
    },
    hit: (at, slack) => shape.hit(degrees === 0 ? at : turned(at, centre, -degrees), slack),
  };
}

function ofKind(object: ViewObject): Shape | undefined {
  const { props } = object;
  switch (object.kind) {
    case "stroke":
      return strokeShape(object);
    case "rect":
      return boxShape(props);
    case "ellipse":
      return ellipseShape(props);
    case "line":
      return lineShape(props);
    case "path":
      return pathShape(props);
    case "text":
      return textShape(props);
    case "image":
      return imageShape(props);
    case "token":
      return tokenShape(props);
    case "fog":
      return fogShape(props);
    default:
      return placeholderShape(props);
  }
}
