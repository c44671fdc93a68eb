// Makes a share link, and shows it for copying.

import { useClient } from "@revcast/react";
import { Check, Copy, Link2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { Role } from "../revcast.js";
import { copied } from "./clipboard.js";

export interface MadeLink {
  readonly link_id: string;
  readonly role: Role;
  readonly url: string;
}

/** The last attempt to copy a link. */
interface Attempt {
  readonly url: string;
  readonly isDone: boolean;
}

export function LinkMaker({
  drawingId,
  made,
  onMade,
}: {
  drawingId: string;
  made: readonly MadeLink[];
  onMade: (link: MadeLink) => void;
}) {
  const client = useClient();
  const [role, setRole] = useState<"editor" | "viewer">("editor");
  const [copy, setCopy] = useState<Attempt>();
  const [problem, setProblem] = useState<string>();
  const field = useRef<HTMLInputElement>(null);
  const link = made.findLast((one) => one.role === role)?.url;
  const isCopied = copy?.isDone === true && copy.url === link;

  useEffect(() => {
    if (copy?.isDone !== true) return;
    const timer = setTimeout(() => setCopy(undefined), 2_000);
    return () => clearTimeout(timer);
  }, [copy]);

  const create = async () => {
    const { link_id, token } = await client.createLink(drawingId, role);
    if (typeof token !== "string") throw new Error("no token");
    const url = `${location.origin}${location.pathname}#/join/${encodeURIComponent(token)}`;
    return { link_id, role, url };
  };
  const make = async () => {
    setProblem(undefined);
    const making = create();
    const copying = copied(making.then(({ url }) => url));
    try {
      const fresh = await making;
      onMade(fresh);
      // Nobody has asked for a copy: where none could be made, there is nothing to tell.
      if (await copying) setCopy({ url: fresh.url, isDone: true });
    } catch {
      setProblem("The link could not be made.");
    }
  };
  const copyAgain = async (url: string) => {
    const isDone = await copied(Promise.resolve(url));
    setCopy({ url, isDone });
    if (!isDone) field.current?.select();
  };
  return (
    <>
      <div className="row link-row">
        <label className="select">
          <span>Anyone with the link</span>
          <select
            value={role}
            onChange={(event) => setRole(event.target.value === "viewer" ? "viewer" : "editor")}
            data-testid="link-role"
          >
            <option value="editor">can draw</option>
            <option value="viewer">can look</option>
          </select>
        </label>
        {link === undefined && (
          <button
            type="button"
            className="button primary"
            onClick={() => void make()}
            data-testid="make-link"
          >
            <Link2 aria-hidden="true" /> Make a link
          </button>
        )}
      </div>
      {link !== undefined && (
        <div className="row">
          <input
            ref={field}
            className="link"
            readOnly
            value={link}
            aria-label="Link"
            data-testid="share-link"
            onFocus={(event) => event.target.select()}
            // A press selects all of it; what browsers do by themselves would undo that, each in its own way.
            onMouseDown={(event) => {
              event.preventDefault();
              event.currentTarget.focus();
              event.currentTarget.select();
            }}
          />
          <button
            type="button"
            className="button"
            onClick={() => void copyAgain(link)}
            aria-live="polite"
            data-testid="copy-link"
          >
            {isCopied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
            {isCopied ? "Copied" : "Copy"}
          </button>
        </div>
      )}
      {link !== undefined && copy?.isDone === false && copy.url === link && (
        <p className="not-copied" role="status">
          The browser did not copy it. The link is selected: copy it by hand.
        </p>
      )}
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
