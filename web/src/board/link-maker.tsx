// Makes a share link, and shows it for copying.

import { useClient } from "@revcast/react";
import { Check, Copy, Link2 } from "lucide-react";
import { useEffect, useState } from "react";
import type { Role } from "../revcast.js";

export interface MadeLink {
  readonly link_id: string;
  readonly role: Role;
  readonly url: string;
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
  const [isCopied, setIsCopied] = useState(false);
  const [problem, setProblem] = useState<string>();
  const link = made.findLast((one) => one.role === role)?.url;

  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setIsCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [isCopied]);

  const make = async () => {
    setProblem(undefined);
    try {
      const { link_id, token } = await client.createLink(drawingId, role);
      if (typeof token !== "string") throw new Error("no token");
      const url = `${location.origin}${location.pathname}#/join/${encodeURIComponent(token)}`;
      onMade({ link_id, role, url });
      await copy(url);
    } catch {
      setProblem("The link could not be made.");
    }
  };
  const copy = async (url: string) => {
    try {
      await navigator.clipboard.writeText(url);
      setIsCopied(true);
    } catch {
      // Not allowed here: the link is in the field, to be copied by hand.
    }
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
            className="link"
            readOnly
            value={link}
            aria-label="Link"
            data-testid="share-link"
            onFocus={(event) => event.target.select()}
          />
          <button type="button" className="button" onClick={() => void copy(link)} aria-live="polite">
            {isCopied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
            {isCopied ? "Copied" : "Copy"}
          </button>
        </div>
      )}
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
