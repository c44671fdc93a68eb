// Who is here, as avatars. Pressing one follows what that user looks at.

import { useUsers } from "@revcast/react";
import { useFollowing } from "../board/bars.js";
import type { Board } from "../board/board.js";
import { myName } from "../session.js";
import { colourAmong, initialsOf } from "./colour.js";

/** More are told as a number. */
const SHOWN = { wide: 4, narrow: 2 };
const NARROW = 560;

export function Roster({ board }: { board: Board }) {
  const users = useUsers(board.drawing);
  const following = useFollowing(board);
  // Oneself last: the others are whom one looks for.
  const sorted = [...users].sort((a, b) => Number(a.isSelf) - Number(b.isSelf));
  const most = innerWidth < NARROW ? SHOWN.narrow : SHOWN.wide;
  const shown = sorted.slice(0, most);
  return (
    <ul className="roster" data-testid="roster" aria-label={`${users.length} here`}>
      {shown.map(({ user_id, name, isSelf, connections }) => {
        const called = name ?? (isSelf ? myName() : user_id);
        const tabs = connections.length > 1 ? `, ${connections.length} tabs` : "";
        const face = (
          <>
            {initialsOf(called)}
            {connections.length > 1 && <sup aria-hidden="true">{connections.length}</sup>}
          </>
        );
        const style = { "--user": colourAmong(users, user_id) } as React.CSSProperties;
        return (
          <li key={user_id}>
            {isSelf ? (
              <span className="avatar self" style={style} title={`${called} (you${tabs})`}>
                {face}
              </span>
            ) : (
              <button
                type="button"
                className="avatar"
                style={style}
                // What is seen is a part of what is said.
                aria-label={`Follow ${called}${tabs}, ${initialsOf(called)}`}
                aria-pressed={following === user_id}
                title={`Follow ${called}${tabs}`}
                onClick={() => board.drawing.presence.follow(following === user_id ? null : user_id)}
              >
                {face}
              </button>
            )}
          </li>
        );
      })}
      {sorted.length > most && (
        <li>
          <span
            className="avatar rest"
            title={sorted
              .slice(most)
              .map(({ name, user_id }) => name ?? user_id)
              .join(", ")}
          >
            +{sorted.length - most}
          </span>
        </li>
      )}
    </ul>
  );
}
