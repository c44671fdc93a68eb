// Exports: the server's SVG, and a PNG that is painted here.

import { unwrap } from "@revcast/client";
import type { RevcastClient, View } from "../revcast.js";
import { grown, union } from "../scene/geometry.js";
import { colour } from "../scene/props.js";
import { shapeOf } from "../scene/shape.js";
import { PAPER } from "../scene/stage.js";

const MARGIN = 16;
/** Pixels per world unit, where that is not too much; and the longest side and the most pixels that all browsers take. */
const SCALE = 2;
const MAX_SIDE = 8_192;
const MAX_PIXELS = 16e6;

export async function svgOf(client: RevcastClient, drawing_id: string, revision?: number): Promise<Blob> {
  const query = revision === undefined ? {} : { at: revision };
  const answer = await client.rest.GET("/v1/drawings/{drawing_id}/export", {
    params: { path: { drawing_id }, query: { format: "svg", ...query } },
    parseAs: "blob",
  });
  return unwrap(answer) as unknown as Blob;
}

export async function pngOf(view: View, isTransparent: boolean): Promise<Blob> {
  const shapes = view.objects.flatMap((object) => shapeOf(object) ?? []);
  const box = grown(
    union(shapes.map((shape) => shape.box)) ?? { minX: 0, minY: 0, maxX: 100, maxY: 100 },
    MARGIN,
  );
  await Promise.all(shapes.map((shape) => shape.ready?.()));
  const [width, height] = [box.maxX - box.minX, box.maxY - box.minY];
  const scale = Math.min(
    SCALE,
    MAX_SIDE / width,
    MAX_SIDE / height,
    Math.sqrt(MAX_PIXELS / (width * height)),
  );
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const ctx = canvas.getContext("2d");
  if (ctx === null) throw new Error("this browser cannot paint it");
  const paper = colour(view.canvas, "background") ?? PAPER;
  if (!isTransparent) {
    ctx.fillStyle = paper;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
  }
  ctx.setTransform(scale, 0, 0, scale, -box.minX * scale, -box.minY * scale);
  for (const shape of shapes) shape.paint(ctx, { scale, paper });
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) throw new Error("the picture is too large");
  return blob;
}

/** Hands a file to the user. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name for a file that any system takes. */
export function fileName(title: string, extension: string): string {
  const plain = title
    .trim()
    .replace(/[^\p{L}\p{N} _.-]+/gu, "")
    .replace(/\s+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 60);
  return `${plain === "" ? "drawing" : plain}.${extension}`;
}
