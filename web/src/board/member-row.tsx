// A member in the share dialog: who it is, and what an owner can change of it.

import { Trash2 } from "lucide-react";
import { initialsOf } from "../presence/colour.js";
import { useColour } from "../presence/use-colour.js";
import type { Role } from "../revcast.js";
import type { Board } from "./board.js";

/** What a member is called: by their name while they are here, else by their id, since nothing else is known. */
export function nameOf(board: Board, userId: string): string {
  return board.drawing.presence.users.find(({ user_id }) => user_id === userId)?.name ?? userId;
}

export function MemberRow({
  board,
  userId,
  role,
  isOwner,
  onRole,
  onRemove,
}: {
  board: Board;
  userId: string;
  role: string;
  isOwner: boolean;
  onRole: (role: Role) => void;
  onRemove: () => void;
}) {
  const isMe = userId === board.drawing.userId;
  const name = nameOf(board, userId);
  const colour = useColour(board.drawing, userId);
  return (
    <li>
      <span className="avatar" style={{ "--user": colour } as React.CSSProperties} aria-hidden="true">
        {initialsOf(name)}
      </span>
      <span className="member-name" title={userId}>
        {name}
        {isMe && " (you)"}
      </span>
      {isOwner ? (
        <>
          <select
            aria-label={`Role of ${name}`}
            value={role}
            onChange={(event) => onRole(event.target.value as Role)}
          >
            <option value="owner">Owner</option>
            <option value="editor">Editor</option>
            <option value="viewer">Viewer</option>
          </select>
          <button
            type="button"
            className="icon-button"
            aria-label={isMe ? "Leave" : `Remove ${name}`}
            title={isMe ? "Leave" : "Remove"}
            onClick={onRemove}
            data-testid="remove-member"
          >
            <Trash2 aria-hidden="true" />
          </button>
        </>
      ) : (
        <span className="member-role">{role}</span>
      )}
    </li>
  );
}
