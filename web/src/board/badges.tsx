// How it stands: whether the drawing is followed live, and whether what was drawn is saved.

import { useConnection, useSyncStatus } from "@revcast/react";
import { CircleAlert, Cloud, CloudOff, CloudUpload } from "lucide-react";
import { useSignIn } from "../home/use-sign-in.js";
import type { Board } from "./board.js";
import { type SyncLook, syncLook } from "./words.js";

const ICONS: Readonly<Record<SyncLook["icon"], typeof Cloud>> = {
  done: Cloud,
  sending: CloudUpload,
  waiting: CloudOff,
};

const CONNECTIONS = {
  connecting: { label: "Connecting", hint: "Getting in touch with the server" },
  live: { label: "Live", hint: "You see what others draw at once" },
  fallback: { label: "Fallback", hint: "The live connection is not there; changes come a little later" },
  offline: { label: "Offline", hint: "Go on drawing: it is sent when the server is there again" },
  outdated: { label: "Outdated", hint: "The server is newer than this page: reload it" },
  closed: { label: "Closed", hint: "This drawing is closed" },
  "signed-out": { label: "Signed out", hint: "Go on drawing: it is sent when you have signed in again" },
} as const;

export function ConnectionBadge({ board }: { board: Board }) {
  const { connection, latency } = useConnection(board.drawing);
  const isSignedOut = useSignIn() === "again" && connection === "connecting";
  const state = isSignedOut ? "signed-out" : connection;
  const { label, hint } = CONNECTIONS[state];
  const title = connection === "live" && latency !== undefined ? `${hint} — ${Math.round(latency)} ms` : hint;
  return (
    <span
      className="badge connection"
      role="status"
      data-state={state}
      data-testid="connection-badge"
      title={title}
    >
      <i aria-hidden="true" />
      <span className="badge-label">{label}</span>
    </span>
  );
}

export function SyncBadge({ board }: { board: Board }) {
  const { sync, pendingCount, rejected } = useSyncStatus(board.drawing);
  const { connection } = useConnection(board.drawing);
  if (rejected.length > 0) {
    return (
      <button
        type="button"
        className="badge sync"
        data-state="rejected"
        data-testid="sync-badge"
        onClick={() => board.ui.setState({ dialog: "rejected" })}
      >
        <CircleAlert aria-hidden="true" />
        <span className="badge-label">
          {rejected.length} {rejected.length === 1 ? "change" : "changes"} refused
        </span>
      </button>
    );
  }
  const { label, hint, icon } = syncLook({ sync, pendingCount, connection });
  const Icon = ICONS[icon];
  return (
    <span
      className="badge sync"
      role="status"
      data-state={sync}
      data-icon={icon}
      data-testid="sync-badge"
      title={hint}
    >
      <Icon aria-hidden="true" />
      <span className="badge-label">{label}</span>
    </span>
  );
}
