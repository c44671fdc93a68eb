"use client";

// The hooks. Each reads the drawing as it is, and renders again when that part of it changes.

import type {
  Attempts,
  ConnectionState,
  Drawing,
  Other,
  RejectedOp,
  Role,
  SyncState,
  UndoScope,
  User,
  View,
  ViewObject,
} from "@revcast/client";
import * as React from "react";
import { useClient } from "./provider.js";
import { borrow, hold } from "./registry.js";

export interface UndoControls {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /** The revision up to which nothing can be undone any more, since it was folded; 0 where nothing was. */
  readonly undoFloor: number;
  /** False when there is nothing to undo. */
  readonly undo: () => boolean;
  /** False when there is nothing to redo. */
  readonly redo: () => boolean;
}

export interface ConnectionStatus {
  readonly connection: ConnectionState;
  /** What follows the drawing; `undefined` while nothing does. */
  readonly transport: Attempts["transport"];
  /** Attempts to connect again; 0 while the drawing is followed. */
  readonly reconnectAttempts: number;
  /** When the next one begins, in milliseconds since 1970; `undefined` while one is under way, and while none is due. */
  readonly nextAttemptAt: number | undefined;
  /** The last round trip on the socket, in milliseconds. */
  readonly latency: number | undefined;
  /** `null`: no access; `undefined`: not known yet. */
  readonly role: Role | null | undefined;
  /** Whether the state of the server has been loaded. */
  readonly loaded: boolean;
}

export interface SyncStatus {
  readonly sync: SyncState;
  readonly pendingCount: number;
  readonly rejected: readonly RejectedOp[];
}

type Listen = (listener: () => void) => () => void;

/** The drawing of that id: followed while any mounted component uses it, and not by rendering alone. */
export function useDrawing(drawingId: string): Drawing {
  const client = useClient();
  const [, setAnew] = React.useState({});
  const drawing = borrow(client, drawingId);
  React.useEffect(() => {
    const release = hold(client, drawingId);
    // The one that was rendered may have been closed before it was mounted.
    if (borrow(client, drawingId) !== drawing) setAnew({});
    return release;
  }, [client, drawingId, drawing]);
  return drawing;
}

/** The objects that are seen, in screen order. */
export function useObjects(drawing: Drawing): readonly ViewObject[];
/** What `select` takes from the picture. It renders again when that differs: an array or object is compared member by member. */
export function useObjects<T>(drawing: Drawing, select: (view: View) => T): T;
export function useObjects<T>(drawing: Drawing, select?: (view: View) => T): T | readonly ViewObject[] {
  const last = React.useRef<{ readonly value: T | readonly ViewObject[] }>(undefined);
  return useOf(
    (listener) => drawing.onChange(listener),
    [drawing],
    () => {
      const view = drawing.view();
      const value = select === undefined ? view.objects : select(view);
      if (last.current === undefined || !isAlike(last.current.value, value)) last.current = { value };
      return last.current.value;
    },
  );
}

/** Everybody else's connections, and those of this user elsewhere. */
export function useOthers(drawing: Drawing): readonly Other[] {
  return useOf(
    (listener) => drawing.onPresence(listener),
    [drawing],
    () => drawing.presence.others,
  );
}

/** Everybody who is present by user, oneself included. */
export function useUsers(drawing: Drawing): readonly User[] {
  return useOf(
    (listener) => drawing.onPresence(listener),
    [drawing],
    () => drawing.presence.users,
  );
}

export function useUndo(drawing: Drawing, scope: UndoScope = "mine"): UndoControls {
  const listen: Listen = (listener) => drawing.onChange(listener);
  const can = useOf(listen, [drawing, scope], () => {
    const { canUndo, canRedo } = drawing.history(scope);
    return (canUndo ? 1 : 0) + (canRedo ? 2 : 0);
  });
  const undoFloor = useOf(listen, [drawing, scope], () => drawing.undoFloor);
  return React.useMemo(
    () => ({
      canUndo: (can & 1) !== 0,
      canRedo: (can & 2) !== 0,
      undoFloor,
      undo: () => drawing.undo(scope),
      redo: () => drawing.redo(scope),
    }),
    [drawing, scope, can, undoFloor],
  );
}

export function useConnection(drawing: Drawing): ConnectionStatus {
  const connection = useOf(
    (listener) => drawing.onConnection(listener),
    [drawing],
    () => drawing.connection,
  );
  const latency = useOf(
    (listener) => drawing.onLatency(listener),
    [drawing],
    () => drawing.latency,
  );
  const role = useOf(
    (listener) => drawing.onRole(listener),
    [drawing],
    () => drawing.role,
  );
  const loaded = useOf(
    (listener) => drawing.onChange(listener),
    [drawing],
    () => drawing.loaded,
  );
  const attempts = useOf(
    (listener) => drawing.onAttempts(listener),
    [drawing],
    () => drawing.attempts,
  );
  return React.useMemo(
    () => ({ connection, ...attempts, latency, role, loaded }),
    [connection, attempts, latency, role, loaded],
  );
}

export function useSyncStatus(drawing: Drawing): SyncStatus {
  const listen: Listen = (listener) => {
    const offs = [drawing.onSync(listener), drawing.onChange(listener)];
    return () => {
      for (const off of offs) off();
    };
  };
  const sync = useOf(listen, [drawing], () => drawing.sync);
  const pendingCount = useOf(listen, [drawing], () => drawing.pendingCount);
  const rejected = useOf(listen, [drawing], () => drawing.rejected);
  return React.useMemo(() => ({ sync, pendingCount, rejected }), [sync, pendingCount, rejected]);
}

/** `useSyncExternalStore` with a subscription that is renewed only when `of` changes. */
function useOf<T>(listen: Listen, of: readonly unknown[], read: () => T): T {
  // biome-ignore lint/correctness/useExhaustiveDependencies: `listen` depends on nothing else than `of`.
  const subscribe = React.useCallback(listen, of);
  return React.useSyncExternalStore(subscribe, read, read);
}

/** Whether two values are the same, member by member. */
function isAlike(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => Object.is(item, b[index]));
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return keys.every((key) => Object.hasOwn(right, key) && Object.is(left[key], right[key]));
}
