// Share links, for the owner: a new one, and those that there are.

import { useClient } from "@revcast/react";
import { Link2, Trash2 } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { ask } from "../ask.js";
import { timeAgo, timeOf } from "../home/time.js";
import type { Board } from "./board.js";
import { Confirm } from "./confirm.js";
import { type Link, LinkMaker } from "./link-maker.js";
import { useUi } from "./ui.js";

export function ShareLinks({ board }: { board: Board }) {
  const drawing_id = board.drawing.id;
  const client = useClient();
  const [links, setLinks] = useState<readonly Link[]>();
  const made = useUi(board.ui, (ui) => ui.madeLinks);
  const [removing, setRemoving] = useState<Link>();
  const [problem, setProblem] = useState<string>();

  const load = useCallback(async () => {
    const { data } = await client.rest
      .GET("/v1/drawings/{drawing_id}/links", { params: { path: { drawing_id } } })
      .catch(() => ({ data: undefined }));
    if (data === undefined) setProblem("The links could not be loaded.");
    else setLinks(data.links);
  }, [client, drawing_id]);
  useEffect(() => void load(), [load]);

  const removeAll = async (gone: readonly Link[]): Promise<void> => {
    for (const { link_id } of gone) {
      const refusal = await ask(() =>
        client.rest.DELETE("/v1/drawings/{drawing_id}/links/{link_id}", {
          params: { path: { drawing_id, link_id } },
        }),
      );
      setProblem(refusal);
      if (refusal !== undefined) break;
      // A link that opens nothing any more is not to be copied.
      const { madeLinks } = board.ui.getState();
      board.ui.setState({ madeLinks: madeLinks.filter((one) => one.link_id !== link_id) });
    }
    await load();
  };

  return (
    <>
      <LinkMaker
        drawingId={drawing_id}
        links={links}
        made={made.filter(({ link_id }) => links?.some((link) => link.link_id === link_id) ?? true)}
        onMade={(link, replaced) => {
          board.ui.setState({ madeLinks: [...board.ui.getState().madeLinks, link] });
          return removeAll(replaced);
        }}
      />
      {links !== undefined && links.length > 0 && <h3>Links</h3>}
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {links !== undefined && links.length > 0 && (
        <ul className="members" data-testid="links">
          {links.map((link) => (
            <LinkRow key={link.link_id} link={link} onRemove={() => setRemoving(link)} />
          ))}
        </ul>
      )}
      {removing !== undefined && (
        <Confirm
          title="Remove the link?"
          verb="Remove"
          testId="remove-link-confirm"
          onConfirm={() => void removeAll([removing])}
          onClose={() => setRemoving(undefined)}
        >
          Nobody can join by it any more. Who has joined by it stays a member.
        </Confirm>
      )}
    </>
  );
}

function LinkRow({ link, onRemove }: { link: Link; onRemove: () => void }) {
  const can = link.role === "viewer" ? "can look" : "can draw";
  const age = timeAgo(link.created_at);
  return (
    <li>
      <Link2 className="link-icon" aria-hidden="true" />
      <span className="link-about">
        <span>Anyone with it {can}</span>
        <span className="link-times">
          <time dateTime={new Date(link.created_at).toISOString()} title={timeOf(link.created_at)}>
            Made {age}
          </time>
          {" · "}
          {endOf(link.expires_at)}
        </span>
      </span>
      <button
        type="button"
        className="icon-button"
        aria-label={`Remove the link by which others ${can}, made ${age}`}
        title="Remove"
        onClick={onRemove}
        data-testid="remove-link"
      >
        <Trash2 aria-hidden="true" />
      </button>
    </li>
  );
}

function endOf(expiresAt: number | null | undefined): string {
  if (expiresAt == null) return "never expires";
  return `${expiresAt <= Date.now() ? "expired" : "expires"} ${timeOf(expiresAt)}`;
}
