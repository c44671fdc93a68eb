// A drawing on the home screen: the way into it, and for good out of it.

import { useClient } from "@revcast/react";
import { LogOut, Trash2 } from "lucide-react";
import { useState } from "react";
import { ask } from "../ask.js";
import { Confirm } from "../board/confirm.js";
import { colourOfUser } from "../presence/colour.js";
import { mySub } from "../session.js";
import type { Row } from "./kept-list.js";
import { timeAgo } from "./time.js";

export function DrawingCard({
  row,
  onProblem,
  onGone,
}: {
  row: Row;
  onProblem: (problem: string | undefined) => void;
  /** It is deleted, or the user is not on it any more. */
  onGone: () => void;
}) {
  const client = useClient();
  const [isAsking, setIsAsking] = useState(false);
  const { drawing_id, role, created_at } = row;
  const title = row.title || "Untitled";
  // A drawing needs an owner, so its owner deletes it; everybody else can only leave what is not theirs.
  const isMine = role === "owner";
  const verb = isMine ? "Delete" : "Leave";

  const remove = async () => {
    const problem = await ask(async () =>
      isMine
        ? client.rest.DELETE("/v1/drawings/{drawing_id}", { params: { path: { drawing_id } } })
        : client.rest.DELETE("/v1/drawings/{drawing_id}/members/{user_id}", {
            params: { path: { drawing_id, user_id: await mySub() } },
          }),
    );
    onProblem(problem);
    if (problem === undefined) onGone();
  };

  return (
    <li data-testid="drawing">
      <a href={`#/d/${drawing_id}`}>
        <span className="thumb" style={{ "--user": colourOfUser(drawing_id) } as React.CSSProperties} />
        <span className="drawing-title">{title}</span>
        <span className="drawing-meta">
          {role} · {timeAgo(created_at)}
        </span>
      </a>
      <button
        type="button"
        className="icon-button"
        aria-label={`${verb} ${title}`}
        title={verb}
        onClick={() => setIsAsking(true)}
        data-testid={isMine ? "delete-drawing" : "leave-drawing"}
      >
        {isMine ? <Trash2 aria-hidden="true" /> : <LogOut aria-hidden="true" />}
      </button>
      {isAsking && (
        <Confirm
          title={`${verb} “${title}”?`}
          verb={verb}
          testId={isMine ? "delete-drawing-confirm" : "leave-drawing-confirm"}
          onConfirm={() => void remove()}
          onClose={() => setIsAsking(false)}
        >
          {isMine
            ? "It is deleted for everybody who is on it, with its whole history. This is final: nobody can bring it back."
            : "You lose access to it, until somebody invites you again. The others keep it."}
        </Confirm>
      )}
    </li>
  );
}
