// Share links, for the owner: a new one, and those that there are.

import { useClient } from "@revcast/react";
import { Link2, Trash2 } from "lucide-react";
import { useCallback, useEffect, useState } from "react";
import { ask } from "../ask.js";
import { timeAgo, timeOf } from "../home/time.js";
import type { Role } from "../revcast.js";
import { Confirm } from "./confirm.js";
import { LinkMaker, type MadeLink } from "./link-maker.js";

interface Link {
  readonly link_id: string;
  readonly role: Role;
  readonly created_at: number;
  readonly expires_at?: number | null;
}

export function ShareLinks({ drawingId: drawing_id }: { drawingId: string }) {
  const client = useClient();
  const [links, setLinks] = useState<readonly Link[]>([]);
  // The server tells what a link holds only once, so what was made here is kept while the dialog is open.
  const [made, setMade] = useState<readonly MadeLink[]>([]);
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

  const remove = async ({ link_id }: Link) => {
    const refusal = await ask(() =>
      client.rest.DELETE("/v1/drawings/{drawing_id}/links/{link_id}", {
        params: { path: { drawing_id, link_id } },
      }),
    );
    setProblem(refusal);
    // A link that opens nothing any more is not to be copied.
    if (refusal === undefined) setMade((before) => before.filter((one) => one.link_id !== link_id));
    await load();
  };

  return (
    <>
      <LinkMaker
        drawingId={drawing_id}
        made={made}
        onMade={(link) => {
          setMade((before) => [...before, link]);
          void load();
        }}
      />
      {links.length > 0 && <h3>Links</h3>}
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {links.length > 0 && (
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
          onConfirm={() => void remove(removing)}
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
