// The measuring hook: frame times for the benchmark, only on pages opened with `?measure`.

import type { Stage } from "./scene/stage.js";

/** Frames that are kept. */
const KEPT = 20_000;

interface Hook {
  /** Milliseconds between frames since the last call. */
  frameTimes(): number[];
  /** Milliseconds of work in each frame that was painted since the last call, and what is on the stage. */
  stats(): { objects: number; tiles: number; zoom: number; work: number[] };
}

declare global {
  interface Window {
    __revcast?: Hook;
  }
}

export function measure(stage: Stage): () => void {
  if (!new URLSearchParams(location.search).has("measure")) return () => {};
  let times: number[] = [];
  let work: number[] = [];
  let last: number | undefined;
  let request = 0;
  const tick = (now: number) => {
    if (last !== undefined && times.length < KEPT) times.push(now - last);
    last = now;
    request = requestAnimationFrame(tick);
  };
  request = requestAnimationFrame(tick);
  stage.onWork = (milliseconds) => {
    if (work.length < KEPT) work.push(milliseconds);
  };
  window.__revcast = {
    frameTimes() {
      const taken = times;
      times = [];
      return taken;
    },
    stats() {
      const taken = work;
      work = [];
      return {
        objects: stage.scene.size,
        tiles: stage.tileCount,
        zoom: stage.camera.zoom,
        work: taken,
      };
    },
  };
  return () => {
    cancelAnimationFrame(request);
    stage.onWork = undefined;
    delete window.__revcast;
  };
}
