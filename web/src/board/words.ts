// What went wrong and how it stands, in the words of somebody who draws.

import {
  type ConnectionState,
  RevcastError,
  type Role,
  type SyncState,
  type UndoScope,
} from "@revcast/client";

const REASONS: Readonly<Record<string, string>> = {
  forbidden: "Your role does not allow it.",
  unit_forbidden: "It belongs to a change that somebody else began.",
  unit_closed: "It is too long ago to be changed.",
  unknown_unit: "What it belongs to is not there.",
  not_found: "You have no access to the drawing any more.",
  too_large: "It is too large.",
  invalid_op: "The server does not understand it.",
  outbox_full: "Too much waits to be sent. Draw on when you are connected again.",
  dependency_rejected: "It belongs to a change that was refused.",
  client_outdated: "The server is newer than this page. Reload it.",
  closed: "This drawing is closed.",
  STORAGE_FAILED: "This browser cannot store anything: stay on the page until all is saved.",
  AUTH_FAILED: "You are not signed in any more.",
};

export function reasonOf({ code, detail }: { readonly code: string; readonly detail?: string }): string {
  return REASONS[code] ?? detail ?? code;
}

export function wordsOf(error: unknown): string {
  if (error instanceof RevcastError) return reasonOf({ code: error.code, detail: error.message });
  return error instanceof Error ? error.message : String(error);
}

/** What decides whether there is anything to undo. */
export interface UndoState {
  readonly role: Role | null | undefined;
  readonly loaded: boolean;
  readonly connection: ConnectionState;
  /** The revision up to which the server has folded what could be undone. */
  readonly undoFloor: number;
}

/** Why there is nothing to undo or to redo. */
export function whyNothing(what: "undo" | "redo", scope: UndoScope, state: UndoState): string {
  const { role, loaded, connection, undoFloor } = state;
  if (role === "viewer" || role === null) return "You may look at this drawing, not change it";
  if (connection === "outdated") return "The server is newer than this page: reload it";
  if (!loaded) {
    return connection === "offline"
      ? `The server is out of reach: what you draw now is all there is to ${what}`
      : "The drawing is still loading";
  }
  const nothing = scope === "mine" ? `Nothing of yours to ${what}` : `Nothing to ${what}`;
  return undoFloor > 0 && what === "undo" ? `${nothing}: what came before is too old to be undone` : nothing;
}

/** How what was drawn stands, as a badge says it. */
export interface SyncLook {
  readonly label: string;
  readonly hint: string;
  readonly icon: "done" | "sending" | "waiting";
}

/** Says that something is on this device only where the client says so: its storage may have failed. */
export function syncLook(status: {
  readonly sync: SyncState;
  readonly pendingCount: number;
  readonly connection: ConnectionState;
}): SyncLook {
  const { sync, pendingCount, connection } = status;
  const count = pendingCount > 0 ? ` · ${pendingCount}` : "";
  if (sync === "stored-locally") {
    const label = `Stored on this device${count}`;
    return { label, hint: label, icon: "waiting" };
  }
  if (sync === "saving" && connection === "offline") {
    return { label: `Not sent yet${count}`, hint: "Stay on the page until it is saved", icon: "waiting" };
  }
  if (sync === "saving") return { label: "Saving…", hint: "Saving…", icon: "sending" };
  return { label: "Saved", hint: "Saved", icon: "done" };
}
