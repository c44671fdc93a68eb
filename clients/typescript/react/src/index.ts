"use client";

// React hooks for Revcast. Safe under StrictMode, where what is rendered twice is opened once, and on servers, where
// nothing is followed.

export {
  type ConnectionStatus,
  type SyncStatus,
  type UndoControls,
  useConnection,
  useDrawing,
  useObjects,
  useOthers,
  useSyncStatus,
  useUndo,
  useUsers,
} from "./hooks.js";
export { RevcastProvider, useClient } from "./provider.js";
