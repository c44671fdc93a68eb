// What the package offers.

export { type RestAnswer, unwrap } from "./answer.js";
export type { CachedCanvas, CanvasCache } from "./cache/cache.js";
export { type Applied, Canvas, type CanvasSnapshot } from "./canvas/canvas.js";
export type { History, Scope } from "./canvas/history.js";
export {
  InvalidRegistersError,
  type ObjectRegistersJson,
  type Register,
  type Registers,
  type RegisterWrite,
  type UnitJson,
  UnknownFormatError,
} from "./canvas/registers.js";
export type { View, ViewObject } from "./canvas/render.js";
export {
  type ClientOptions,
  createClient,
  type DrawingInfo,
  type OpenOptions,
  type RevcastClient,
} from "./client.js";
export type { Drawing, Snapshot, UndoScope } from "./drawing.js";
export type { NewObject, NewStroke, ObjectChange } from "./edits.js";
export { type ClientErrorCode, type ErrorCode, type Problem, RevcastError } from "./errors.js";
export type { Attempts } from "./feed/connector.js";
export type { HttpOptions, Rest, Schemas } from "./http.js";
export type { Json, JsonObject } from "./json.js";
export type { ConnectionState } from "./observed.js";
export type * from "./ops.js";
export type { RejectedOp } from "./outbox/quarantine.js";
export type { SyncState } from "./outbox/status.js";
export { MemoryStore, type OutboxStore } from "./outbox/store.js";
export type { Other, Presence, User } from "./presence.js";
export type { Position, Present, Role, Roster } from "./protocol.js";
export type { Stroke } from "./stroke.js";
export { type Claims, claimsOf } from "./token.js";
