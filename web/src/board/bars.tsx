// Small bars: what can be done with the selection, who is being followed, and words to the user.

import { BringToFront, CopyPlus, SendToBack, Trash2 } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useColour } from "../presence/use-colour.js";
import { bringToFront, deleteSelection, duplicate, sendToBack } from "./actions.js";
import type { Board } from "./board.js";
import { useUi } from "./ui.js";

export function SelectionBar({ board }: { board: Board }) {
  const count = useUi(board.ui, (ui) => ui.selection.length);
  if (count === 0) return null;
  const actions = [
    { label: "Duplicate", Icon: CopyPlus, act: duplicate },
    { label: "Bring to front", Icon: BringToFront, act: bringToFront },
    { label: "Send to back", Icon: SendToBack, act: sendToBack },
    { label: "Delete", Icon: Trash2, act: deleteSelection },
  ];
  return (
    <div className="selection-bar panel" role="toolbar" aria-label="Selection" data-testid="selection-bar">
      <span className="count" aria-live="polite">
        {count} selected
      </span>
      {actions.map(({ label, Icon, act }) => (
        <button
          key={label}
          type="button"
          className="tool"
          aria-label={label}
          title={label}
          onClick={() => act(board)}
        >
          <Icon aria-hidden="true" />
        </button>
      ))}
    </div>
  );
}

export function useFollowing(board: Board): string | null {
  return useSyncExternalStore(
    (listener) => board.drawing.onPresence(listener),
    () => board.drawing.presence.following,
  );
}

export function FollowBanner({ board }: { board: Board }) {
  const following = useFollowing(board);
  return following === null ? null : <Following board={board} following={following} />;
}

function Following({ board, following }: { board: Board; following: string }) {
  const user = board.drawing.presence.users.find(({ user_id }) => user_id === following);
  const colour = { "--user": useColour(board.drawing, following) } as React.CSSProperties;
  return (
    <>
      <div className="follow-frame" style={colour} />
      <div className="banner" style={colour} role="status" data-testid="follow-banner">
        Following {user?.name ?? following}
        <button type="button" onClick={() => board.drawing.presence.follow(null)}>
          Stop
        </button>
      </div>
    </>
  );
}

export function Notice({ board }: { board: Board }) {
  const notice = useUi(board.ui, (ui) => ui.notice);
  return (
    <div className="notices" role="status" aria-live="polite" data-testid="notice">
      {notice !== undefined && <p className="notice">{notice}</p>}
    </div>
  );
}
