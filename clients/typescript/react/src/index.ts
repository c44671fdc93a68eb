// React hooks for Revcast. Safe under StrictMode: what is rendered twice is opened once.

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
