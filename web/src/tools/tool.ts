// What a tool is: a small state machine from pointer events to edits. One file a tool.

import type { Camera } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import type { PaintEnv } from "../scene/shape.js";

/** A pointer as tools see it. */
export interface Pointer {
  readonly world: Vec;
  /** In CSS pixels from the corner of the stage. */
  readonly screen: Vec;
  /** None where the device does not tell. */
  readonly pressure: number | undefined;
  readonly shift: boolean;
  readonly alt: boolean;
  /** How near counts as on it, in world units: more for a finger than for a mouse. */
  readonly slack: number;
  readonly isTouch: boolean;
  /** All places since the last event, this one last. */
  readonly path: readonly { readonly world: Vec; readonly pressure: number | undefined }[];
}

export interface Tool {
  /** A CSS cursor. */
  cursor(at: Pointer | undefined): string;
  /** Returns whether a gesture has begun: `move`, and then `up` or `cancel`, follow. */
  down(at: Pointer): boolean;
  move(at: Pointer): void;
  up(at: Pointer): void;
  /** Ends the gesture as if it had not been, as far as that can be. */
  cancel(): void;
  doubleClick?(at: Pointer): void;
  paint?(ctx: CanvasRenderingContext2D, env: PaintEnv): void;
  marks?(ctx: CanvasRenderingContext2D, camera: Camera): void;
}

/** Coordinates in the log: a tenth of a world unit. */
export function quantized(value: number): number {
  return Math.round(value * 10) / 10 + 0;
}

/** Pressures in the log: a hundredth. */
export function quantizedPressure(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
}
