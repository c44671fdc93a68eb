// Images: picked, pasted or dropped, made small enough to travel inside an op.

import type { Board } from "../board/board.js";
import type { JsonObject } from "../revcast.js";
import { centreOf, type Size, type Vec } from "../scene/geometry.js";
import { graphemesOf } from "../scene/graphemes.js";
import { type Format, formatFor, MAX_HREF, shrunk } from "./shrink.js";
import { isSvg, sizedSvg } from "./svg-file.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** Types that the server's pictures can show, too. */
const AS_IT_IS = /^image\/(png|jpeg|gif|webp)$/;
/** How much of the screen an image takes at most when it comes. */
const SHARE = 0.6;
/** From one image to the next, of the room that each may take. */
const SPREAD = 1.06;
/** Files that are told of one by one. */
const MOST_WORDS = 8;
const UNREADABLE = "this browser cannot read it";
const MAX_FILE = 40 * 1024 * 1024;
/** The longest side, in pixels, at which a picture is looked at for transparency. */
const LOOK_SIDE = 256;
/** An alpha of less, of 255, shows something through. */
const OPAQUE = 250;

export class ImageTool implements Tool {
  constructor(readonly board: Board) {}

  cursor(): string {
    return "copy";
  }

  down(): boolean {
    return true;
  }

  move(): void {}

  up({ world }: Pointer): void {
    pickImage(this.board, world);
  }

  cancel(): void {}
}

/** Lets the user choose files. */
export function pickImage(board: Board, at?: Vec): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*";
  input.multiple = true;
  input.onchange = () => void insertImages(board, [...(input.files ?? [])], at);
  input.click();
}

/**
 * Puts images on the drawing, beside each other and as one undo unit; in the middle of the screen if not somewhere else.
 * Of each that cannot be taken, the user is told why.
 */
export async function insertImages(board: Board, files: readonly File[], at?: Vec): Promise<void> {
  const { drawing, stage } = board;
  const { size, camera } = stage;
  const middle = at ?? centreOf(stage.viewport);
  const columns = Math.ceil(Math.sqrt(files.length));
  const cell = {
    width: (size.width * SHARE) / columns / camera.zoom,
    height: (size.height * SHARE) / columns / camera.zoom,
  };
  const unit = drawing.newUnit();
  const ids: string[] = [];
  const leftOut: string[] = [];
  let scaled = 0;
  for (const file of files) {
    try {
      const picture = await fitted(file);
      const column = (ids.length % columns) - (columns - 1) / 2;
      const row = Math.floor(ids.length / columns) - (Math.ceil(files.length / columns) - 1) / 2;
      const props = placed(picture, cell, camera.zoom, {
        x: middle.x + column * cell.width * SPREAD,
        y: middle.y + row * cell.height * SPREAD,
      });
      if (!board.canEdit) throw new Error("you may not change the drawing now");
      const id = board.edit(() => drawing.createObject({ kind: "image", props, z: board.topZ(), unit }));
      if (id === undefined) throw new Error("the drawing did not take it");
      ids.push(id);
      if (picture.isScaled) scaled += 1;
    } catch (error) {
      const why = error instanceof DOMException || !(error instanceof Error) ? UNREADABLE : error.message;
      leftOut.push(`${shownName(file)}: ${why}`);
    }
  }
  // Who draws on meanwhile is not disturbed.
  if (ids.length > 0 && !board.isBusy()) {
    board.setTool("select");
    board.select(ids);
  }
  const words = wordsOn(files.length, leftOut, scaled);
  if (words !== undefined) board.notify(words);
}

/** An image in the middle of its place, not larger than that and not larger than it is. */
function placed({ href, width, height }: Fitted, cell: Size, zoom: number, middle: Vec): JsonObject {
  const fit = Math.min(1 / zoom, cell.width / width, cell.height / height);
  const [w, h] = [width * fit, height * fit];
  return {
    href,
    x: quantized(middle.x - w / 2),
    y: quantized(middle.y - h / 2),
    width: quantized(w),
    height: quantized(h),
  };
}

function wordsOn(count: number, leftOut: readonly string[], scaled: number): string | undefined {
  const said = leftOut.slice(0, MOST_WORDS);
  if (leftOut.length > said.length) said.push(`and ${leftOut.length - said.length} more`);
  if (leftOut.length > 0) {
    const some = leftOut.length === count ? `All ${count}` : `${leftOut.length} of ${count}`;
    return `${count === 1 ? "The file was" : `${some} files were`} left out. ${said.join("; ")}.`;
  }
  if (scaled === 0) return undefined;
  return scaled === 1
    ? "The image was scaled down to fit into the drawing."
    : `${scaled} images were scaled down to fit into the drawing.`;
}

function shownName({ name }: File): string {
  const characters = graphemesOf(name);
  return `“${characters.length > 40 ? `${characters.slice(0, 39).join("")}…` : name}”`;
}

/** Whether a file says that it is an image. */
export function isImage({ type, name }: File): boolean {
  return type.startsWith("image/") || (type === "" && /\.svg$/i.test(name));
}

interface Fitted {
  readonly href: string;
  /** Of the image as it was, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly isScaled: boolean;
}

async function fitted(file: File): Promise<Fitted> {
  if (!isImage(file)) throw new Error("it is no image");
  if (file.size > MAX_FILE) throw new Error(`it is larger than ${MAX_FILE / 1024 / 1024} MB`);
  if (isSvg(file)) return fittedSvg(file);
  const image = await createImageBitmap(file);
  try {
    const { width, height } = image;
    if (AS_IT_IS.test(file.type) && (file.size * 4) / 3 + 64 < MAX_HREF) {
      return { href: await dataUrl(file), width, height, isScaled: false };
    }
    return await small(image, width, height, file.type === "image/jpeg");
  } finally {
    image.close();
  }
}

/** A drawing of lines, which the server's pictures do not show as what it is: it becomes one of pixels. */
async function fittedSvg(file: File): Promise<Fitted> {
  const { width, height, href } = await sizedSvg(file);
  const image = new Image();
  image.src = href;
  await image.decode();
  return { ...(await small(image, width, height, false)), width, height, isScaled: false };
}

type Readable = ImageBitmap | HTMLImageElement;

async function small(
  image: Readable,
  width: number,
  height: number,
  isKnownOpaque: boolean,
): Promise<Fitted> {
  const longest = Math.max(image.width, image.height);
  const isOpaque = isKnownOpaque || !showsThrough(painted(image, LOOK_SIDE));
  const format = formatFor({ writeWebp: await writesWebp(), beOpaque: isOpaque });
  const { href, side } = await shrunk(longest, format, (side, quality) =>
    drawn(image, side, format, quality),
  );
  return { href, width, height, isScaled: side < longest };
}

/** The image with a longest side of so many pixels, as a data URL. */
async function drawn(
  image: Readable,
  side: number,
  { type }: Format,
  quality: number | undefined,
): Promise<string> {
  const { canvas, ctx } = painted(image, side);
  if (type === "image/jpeg") {
    // What little shows through would become black.
    ctx.globalCompositeOperation = "destination-over";
    ctx.fillStyle = "#ffffff";
    ctx.fillRect(0, 0, canvas.width, canvas.height);
  }
  return dataUrl(await blobOf(canvas, type, quality));
}

interface Painted {
  readonly canvas: HTMLCanvasElement;
  readonly ctx: CanvasRenderingContext2D;
}

/** The image on a canvas, no larger than it is. */
function painted(image: Readable, side: number): Painted {
  const factor = Math.min(1, side / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * factor));
  canvas.height = Math.max(1, Math.round(image.height * factor));
  const ctx = canvas.getContext("2d");
  if (ctx === null) throw new Error("this browser cannot draw it");
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(image, 0, 0, canvas.width, canvas.height);
  return { canvas, ctx };
}

function showsThrough({ canvas, ctx }: Painted): boolean {
  const { data } = ctx.getImageData(0, 0, canvas.width, canvas.height);
  for (let alpha = 3; alpha < data.length; alpha += 4) if ((data[alpha] ?? 0) < OPAQUE) return true;
  return false;
}

let webp: Promise<boolean> | undefined;

/** Whether the browser writes WebP: Safari writes PNG when it is asked for it. Asked once. */
function writesWebp(): Promise<boolean> {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  webp ??= blobOf(canvas, "image/webp", undefined).then(
    ({ type }) => type === "image/webp",
    () => false,
  );
  return webp;
}

async function blobOf(canvas: HTMLCanvasElement, type: string, quality: number | undefined): Promise<Blob> {
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type, quality));
  if (blob === null) throw new Error("this browser cannot write it");
  return blob;
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error("it cannot be read"));
    reader.readAsDataURL(blob);
  });
}
