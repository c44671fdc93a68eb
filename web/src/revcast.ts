// The names of the client that the whiteboard uses, in one place.

export type {
  AcknowledgedOp,
  CommittedOp,
  Drawing,
  Json,
  JsonObject,
  NewOp,
  Other,
  Point,
  RejectedOp,
  RevcastClient,
  Role,
  Stroke,
  UndoScope,
  User,
  View,
  ViewObject,
} from "@revcast/client";
