// An exported picture in a browser: where its ink is, and where the picture ends.

import type { Page } from "playwright-core";

/** A rectangle, in the units of the picture. */
export interface Extent {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Picture {
  /** What the picture shows of the plane. */
  readonly shown: Extent;
  /** What there is to show. */
  readonly ink: Extent;
}

/** Looks at an SVG with much room around it, as if it were drawn in another font. */
export function look(page: Page, svg: string, font = "sans-serif"): Promise<Picture> {
  return page.evaluate(
    async (source) => {
      const root = new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
      const [x = 0, y = 0, width = 0, height = 0] = (root.getAttribute("viewBox") ?? "")
        .split(" ")
        .map(Number);
      // As much again on each side, and few enough pixels to be quick.
      const [room, most] = [Math.min(width, height), 800];
      const [broad, high] = [width + 2 * room, height + 2 * room];
      const scale = Math.min(4, most / Math.max(broad, high));
      root.setAttribute("viewBox", `${x - room} ${y - room} ${broad} ${high}`);
      root.setAttribute("width", `${broad * scale}`);
      root.setAttribute("height", `${high * scale}`);
      const image = new Image();
      image.src = `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(root))}`;
      await image.decode();
      const canvas = new OffscreenCanvas(Math.ceil(broad * scale), Math.ceil(high * scale));
      const ctx = canvas.getContext("2d", { willReadFrequently: true });
      if (ctx === null) throw new Error("no canvas");
      ctx.drawImage(image, 0, 0);
      const { data } = ctx.getImageData(0, 0, canvas.width, canvas.height);
      let [left, top, right, bottom] = [canvas.width, canvas.height, 0, 0];
      for (let at = 3; at < data.length; at += 4) {
        if ((data[at] ?? 0) < 64) continue;
        const pixel = (at - 3) / 4;
        const [column, row] = [pixel % canvas.width, Math.floor(pixel / canvas.width)];
        left = Math.min(left, column);
        right = Math.max(right, column + 1);
        top = Math.min(top, row);
        bottom = Math.max(bottom, row + 1);
      }
      const at = (pixel: number, from: number) => from - room + pixel / scale;
      return {
        shown: { left: x, top: y, right: x + width, bottom: y + height },
        ink: { left: at(left, x), top: at(top, y), right: at(right, x), bottom: at(bottom, y) },
      };
    },
    svg.replaceAll('font-family="sans-serif"', `font-family="${font}"`),
  );
}
