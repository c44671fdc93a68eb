// Images: picked, pasted or dropped, made small enough to travel inside an op.

import type { Board } from "../board/board.js";
import { centreOf, type Vec } from "../scene/geometry.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** The longest data URL, in characters: an op may have 64 KiB with everything in it. */
export const MAX_HREF = 45_000;
/** The longest side that is tried first, in pixels, and what it is multiplied by until the image fits. */
const FIRST_SIDE = 1_600;
const SHRINK = 0.72;
const SMALLEST_SIDE = 24;
const QUALITIES = [0.85, 0.7, 0.5];
/** Types that the server's pictures can show, too. */
const AS_IT_IS = /^image\/(png|jpeg|gif|webp)$/;
/** How much of the screen an image takes at most when it comes. */
const SHARE = 0.6;
const MAX_FILE = 40 * 1024 * 1024;

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
    let side = Math.min(FIRST_SIDE, Math.max(width, height));
    for (; side >= SMALLEST_SIDE; side *= SHRINK) {
      const factor = side / Math.max(width, height);
      for (const quality of QUALITIES) {
        const href = await drawn(image, factor, quality);
        if (href.length < MAX_HREF) return { href, width, height, isScaled: factor < 1 };
      }
    }
    throw new Error("it does not become small enough");
  } finally {
    image.close();
  }
}

/** The image scaled, as a data URL: WebP, or PNG where the browser cannot write that. */
async function drawn(image: ImageBitmap, factor: number, quality: number): Promise<string> {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * factor));
  canvas.height = Math.max(1, Math.round(image.height * factor));
  const ctx = canvas.getContext("2d");
  if (ctx === null) throw new Error("this browser cannot draw it");
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/webp", quality));
  if (blob === null) throw new Error("this browser cannot write it");
  return dataUrl(blob);
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
