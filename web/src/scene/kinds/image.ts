// Images. Only those that are in the object itself are shown: a drawing must not make its readers call on other hosts.

import type { JsonObject } from "../../revcast.js";
import { grown, holds } from "../geometry.js";
import { frame, text } from "../props.js";
import type { Shape } from "../shape.js";
import { placeholderShape } from "./box.js";

const SIDE = 100;
const INLINE = /^data:image\/(png|jpeg|gif|webp)[;,]/i;
/** Images that are known by what they are, so that copies and moved ones are not read again. */
const MAX_KEPT = 300;

const kept = new Map<string, HTMLImageElement>();
const listeners = new Set<() => void>();

/** Calls `listener` when an image has become paintable. Returns how to end that. */
export function onImage(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function imageShape(props: JsonObject): Shape | undefined {
  const href = text(props, "href", "src");
  if (href === undefined || !INLINE.test(href)) return placeholderShape({ ...props, ...sides(props) });
  const box = frame(props, SIDE);
  const [width, height] = [box.maxX - box.minX, box.maxY - box.minY];
  // Its own from the first painting on: of more images than are kept, each would push another one out for ever.
  let image: HTMLImageElement | undefined;
  const own = () => {
    image ??= decoded(href);
    return image;
  };
  return {
    box,
    paint(ctx) {
      if (isReady(own())) ctx.drawImage(own(), box.minX, box.minY, width, height);
    },
    ready: () =>
      own()
        .decode()
        .catch(() => {}),
    hit: (at, slack) => holds(grown(box, slack), at),
  };
}

function sides(props: JsonObject): JsonObject {
  const box = frame(props, SIDE);
  return { x: box.minX, y: box.minY, width: box.maxX - box.minX, height: box.maxY - box.minY };
}

function isReady(image: HTMLImageElement): boolean {
  return image.complete && image.naturalWidth > 0;
}

function decoded(href: string): HTMLImageElement {
  const known = kept.get(href);
  if (known !== undefined) return known;
  const fresh = new Image();
  kept.set(href, fresh);
  for (const oldest of kept.keys()) {
    if (kept.size <= MAX_KEPT) break;
    kept.delete(oldest);
  }
  fresh.onload = () => {
    for (const listener of listeners) listener();
  };
  fresh.src = href;
  return fresh;
}
