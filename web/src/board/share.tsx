// Sharing: links that let others in, and who is in.

import type { RestAnswer } from "@revcast/client";
import { useClient, useConnection } from "@revcast/react";
import { useCallback, useEffect, useState } from "react";
import { ask } from "../ask.js";
import type { Board } from "./board.js";
import { Confirm } from "./confirm.js";
import { Dialog } from "./dialog.js";
import { MemberRow, nameOf } from "./member-row.js";
import { ShareLinks } from "./share-links.js";

interface Member {
  readonly user_id: string;
  readonly role: string;
}

export function ShareDialog({ board, onClose }: { board: Board; onClose: () => void }) {
  const client = useClient();
  const { role } = useConnection(board.drawing);
  const [members, setMembers] = useState<readonly Member[]>();
  /** Whom to remove, while the owner is asked whether that is meant. */
  const [leaving, setLeaving] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const drawing_id = board.drawing.id;
  const isOwner = role === "owner";

  const load = useCallback(async () => {
    const { data } = await client.rest
      .GET("/v1/drawings/{drawing_id}/members", { params: { path: { drawing_id } } })
      .catch(() => ({ data: undefined }));
    if (data === undefined) setProblem("The members could not be loaded.");
    else setMembers(data.members);
  }, [client, drawing_id]);
  useEffect(() => void load(), [load]);

  /** Asks the server for a change, and then for how it is. */
  const change = async (request: () => Promise<RestAnswer<unknown>>) => {
    setProblem(await ask(request));
    await load();
  };
  const remove = (user_id: string) =>
    change(() =>
      client.rest.DELETE("/v1/drawings/{drawing_id}/members/{user_id}", {
        params: { path: { drawing_id, user_id } },
      }),
    );

  return (
    <>
      <Dialog title="Share" onClose={onClose}>
        {isOwner && <ShareLinks board={board} />}
        {!isOwner && role !== undefined && <p>Only the owner of a drawing can invite others.</p>}
        <h3>Members</h3>
        {problem !== undefined && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <ul className="members" data-testid="members">
          {(members ?? []).map(({ user_id, role: theirs }) => (
            <MemberRow
              key={user_id}
              board={board}
              userId={user_id}
              role={theirs}
              isOwner={isOwner}
              onRole={(to) =>
                void change(() =>
                  client.rest.PUT("/v1/drawings/{drawing_id}/members/{user_id}", {
                    params: { path: { drawing_id, user_id } },
                    body: { role: to },
                  }),
                )
              }
              onRemove={() => setLeaving(user_id)}
            />
          ))}
        </ul>
      </Dialog>
      {leaving !== undefined && (
        <RemoveMember
          board={board}
          userId={leaving}
          onConfirm={() => void remove(leaving)}
          onClose={() => setLeaving(undefined)}
        />
      )}
    </>
  );
}

function RemoveMember({
  board,
  userId,
  onConfirm,
  onClose,
}: {
  board: Board;
  userId: string;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const isMe = userId === board.drawing.userId;
  return (
    <Confirm
      title={isMe ? "Leave the drawing?" : `Remove ${nameOf(board, userId)}?`}
      verb={isMe ? "Leave" : "Remove"}
      testId="remove-member-confirm"
      onConfirm={onConfirm}
      onClose={onClose}
    >
      {isMe
        ? "You lose access to the drawing at once, until somebody invites you again."
        : "They lose access to the drawing at once. Who has a link that works can join again."}
    </Confirm>
  );
}
