// Images: picked, pasted or dropped, made small enough to travel inside an op.

import type { Board } from "../board/board.js";
import { centreOf, type Vec } from "../scene/geometry.js";
import { type Format, formatFor, MAX_HREF, shrunk } from "./shrink.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** Types that the server's pictures can show, too. */
const AS_IT_IS = /^image\/(png|jpeg|gif|webp)$/;
/** How much of the screen an image takes at most when it comes. */
const SHARE = 0.6;
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

/** Lets the user choose a file. */
export function pickImage(board: Board, at?: Vec): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "image/*";
  input.onchange = () => {
    const [file] = input.files ?? [];
    if (file !== undefined) void insertImage(board, file, at);
  };
  input.click();
}

/** Puts an image on the drawing, in the middle of the screen if not somewhere else. */
export async function insertImage(board: Board, file: Blob, at?: Vec): Promise<void> {
  if (!board.canEdit) return;
  try {
    if (file.size > MAX_FILE) throw new Error("the file is too large");
    const { href, width, height, isScaled } = await fitted(file);
    const middle = at ?? centreOf(board.stage.viewport);
    const { size, camera } = board.stage;
    const fit = Math.min(1, (size.width * SHARE) / width, (size.height * SHARE) / height) / camera.zoom;
    const [w, h] = [width * fit, height * fit];
    const props = {
      href,
      x: quantized(middle.x - w / 2),
      y: quantized(middle.y - h / 2),
      width: quantized(w),
      height: quantized(h),
    };
    const id = board.edit(() => board.drawing.createObject({ kind: "image", props, z: board.topZ() }));
    if (id === undefined) return;
    board.setTool("select");
    board.select([id]);
    if (isScaled) board.notify("The image was scaled down to fit into the drawing.");
  } catch (error) {
    board.notify(
      `This image cannot be used: ${error instanceof Error ? error.message : "it cannot be read"}`,
    );
  }
}

interface Fitted {
  readonly href: string;
  /** Of the image as it was, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly isScaled: boolean;
}

async function fitted(file: Blob): Promise<Fitted> {
  const image = await createImageBitmap(file);
  try {
    const { width, height } = image;
    if (AS_IT_IS.test(file.type) && (file.size * 4) / 3 + 64 < MAX_HREF) {
      return { href: await dataUrl(file), width, height, isScaled: false };
    }
    const longest = Math.max(width, height);
    const isOpaque = file.type === "image/jpeg" || !showsThrough(painted(image, LOOK_SIDE));
    const format = formatFor({ writeWebp: await writesWebp(), beOpaque: isOpaque });
    const { href, side } = await shrunk(longest, format, (side, quality) =>
      drawn(image, side, format, quality),
    );
    return { href, width, height, isScaled: side < longest };
  } finally {
    image.close();
  }
}

/** The image with a longest side of so many pixels, as a data URL. */
async function drawn(
  image: ImageBitmap,
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
function painted(image: ImageBitmap, side: number): Painted {
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

/** The first image among what was pasted or dropped. */
export function imageIn(data: DataTransfer | null): Blob | undefined {
  return [...(data?.files ?? [])].find((file) => file.type.startsWith("image/"));
}
