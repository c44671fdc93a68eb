// How much is drawn, counted in the pixels of the page. Files of pictures are not compared: fonts, antialiasing and the
// browser's version would have their say in them.

import type { Page } from "playwright-core";

/** The layers of the canvas, which are transparent where nothing is. */
const LAYERS = ["canvas-still", "canvas-moving"];

/** Pixels of the canvas that are more ink than paper. */
export function inkOf(page: Page): Promise<number> {
  return page.evaluate((layers) => {
    const canvases = layers.map((id) => document.querySelector<HTMLCanvasElement>(`[data-testid=${id}]`));
    const first = canvases[0];
    if (!first) return 0;
    const whole = new OffscreenCanvas(first.width, first.height);
    const ctx = whole.getContext("2d");
    if (ctx === null) return 0;
    for (const canvas of canvases) if (canvas) ctx.drawImage(canvas, 0, 0);
    const { data } = ctx.getImageData(0, 0, whole.width, whole.height);
    let inked = 0;
    for (let alpha = 3; alpha < data.length; alpha += 4) if ((data[alpha] ?? 0) > 127) inked += 1;
    return inked;
  }, LAYERS);
}
