// The camera keeps what it is told to keep.

import { describe, expect, test } from "vitest";
import {
  between,
  fitting,
  HOME,
  isNear,
  MAX_ZOOM,
  MIN_ZOOM,
  panned,
  toScreen,
  toWorld,
  viewportOf,
  zoomedTo,
} from "../src/scene/camera.js";

const CAMERA = { x: 10, y: -20, zoom: 2 };
const SIZE = { width: 800, height: 600 };

describe("camera", () => {
  test("a place goes to the screen and back", () => {
    expect(toScreen(CAMERA, { x: 15, y: -10 })).toEqual({ x: 10, y: 20 });
    expect(toWorld(CAMERA, toScreen(CAMERA, { x: 3, y: 4 }))).toEqual({ x: 3, y: 4 });
  });

  test("panning moves the picture by pixels, whatever the zoom", () => {
    const before = toScreen(CAMERA, { x: 0, y: 0 });
    const after = toScreen(panned(CAMERA, 30, -7), { x: 0, y: 0 });
    expect(after).toEqual({ x: before.x + 30, y: before.y - 7 });
  });

  test("zooming keeps the place under the pointer", () => {
    const pointer = { x: 123, y: 45 };
    const under = toWorld(CAMERA, pointer);
    const zoomed = zoomedTo(CAMERA, pointer, 5);
    expect(toWorld(zoomed, pointer).x).toBeCloseTo(under.x);
    expect(toWorld(zoomed, pointer).y).toBeCloseTo(under.y);
  });

  test("the zoom stays within its limits", () => {
    expect(zoomedTo(CAMERA, { x: 0, y: 0 }, 1000).zoom).toBe(MAX_ZOOM);
    expect(zoomedTo(CAMERA, { x: 0, y: 0 }, 0).zoom).toBe(MIN_ZOOM);
  });

  test("fitting shows all of a box, in the middle", () => {
    const box = { minX: 0, minY: 0, maxX: 4000, maxY: 100 };
    const seen = viewportOf(fitting(box, SIZE, 50), SIZE);
    expect(seen.minX).toBeLessThanOrEqual(0);
    expect(seen.maxX).toBeGreaterThanOrEqual(4000);
    expect((seen.minY + seen.maxY) / 2).toBeCloseTo(50);
  });

  test("fitting a dot does not magnify it without end", () => {
    expect(fitting({ minX: 1, minY: 1, maxX: 1, maxY: 1 }, SIZE, 50, 1).zoom).toBe(1);
  });

  test("a glide begins at one camera and ends at the other", () => {
    expect(isNear(between(HOME, CAMERA, 0, SIZE), HOME)).toBe(true);
    expect(isNear(between(HOME, CAMERA, 1, SIZE), CAMERA)).toBe(true);
    expect(between(HOME, CAMERA, 0.5, SIZE).zoom).toBeCloseTo(Math.SQRT2);
  });
});
