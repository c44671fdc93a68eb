// The dots of the paper: a background of the page, so that the canvases hold nothing but the drawing.

import type { Camera } from "../scene/camera.js";
import type { Stage } from "../scene/stage.js";

/** World units between dots at 100 %, and the fewest pixels that may be between them. */
const APART = 24;
const LEAST = 18;
/** How far the paper reaches beyond the stage, in pixels: more than the most that is between dots. */
const EDGE = 80;

/** `paper` is larger than the stage: it is pushed about by less than the way from one dot to the next. */
export function showDots(stage: Stage, paper: HTMLElement): () => void {
  let shown = 0;
  const place = ({ x, y, zoom }: Camera) => {
    let apart = APART * zoom;
    while (apart < LEAST) apart *= 4;
    while (apart > LEAST * 4) apart /= 4;
    const { style } = paper;
    if (apart !== shown) {
      style.backgroundSize = `${apart}px ${apart}px`;
      style.backgroundPosition = `${EDGE - apart / 2}px ${EDGE - apart / 2}px`;
    }
    shown = apart;
    // Moved as a whole, it need not be painted again.
    style.transform = `translate(${-(x * zoom) % apart}px, ${-(y * zoom) % apart}px)`;
  };
  place(stage.camera);
  return stage.onCamera(place);
}
