// Makes a share link in place of those before it, and shows it for copying.

import { useClient } from "@revcast/react";
import { Check, Copy, Link2 } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { timeAgo } from "../home/time.js";
import { copied } from "./clipboard.js";
import type { MadeLink } from "./ui.js";

/** A link as the server tells of it: not what it holds. */
export interface Link {
  readonly link_id: string;
  readonly role: string;
  readonly created_at: number;
  readonly expires_at?: number | null;
}

/** The last attempt to copy a link. */
interface Attempt {
  readonly url: string;
  readonly isDone: boolean;
}

export function LinkMaker({
  drawingId,
  links,
  made,
  onMade,
}: {
  drawingId: string;
  /** Those that there are; none while they are not known. */
  links: readonly Link[] | undefined;
  made: readonly MadeLink[];
  /** A new one is there, and those that it replaces are to go. */
  onMade: (link: MadeLink, replaced: readonly Link[]) => Promise<void>;
}) {
  const client = useClient();
  const [role, setRole] = useState<"editor" | "viewer">("editor");
  const [copy, setCopy] = useState<Attempt>();
  const [problem, setProblem] = useState<string>();
  const [isMaking, setMaking] = useState(false);
  const hint = useId();
  const field = useRef<HTMLInputElement>(null);
  const link = made.findLast((one) => one.role === role)?.url;
  const replaced = (links ?? []).filter((one) => one.role === role && isReplaced(one));
  const [done, setDone] = useState<string>();
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
    setDone(undefined);
    // Two at once would replace the same ones, and not each other.
    setMaking(true);
    const making = create();
    const copying = copied(making.then(({ url }) => url));
    try {
      const fresh = await making;
      await onMade(fresh, replaced);
      if (replaced.length > 0) setDone(`It has replaced ${named(replaced)}.`);
      // Nobody has asked for a copy: where none could be made, there is nothing to tell.
      if (await copying) setCopy({ url: fresh.url, isDone: true });
    } catch {
      setProblem("The link could not be made.");
    } finally {
      setMaking(false);
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
        <button
          type="button"
          className={link === undefined ? "button primary" : "button"}
          disabled={links === undefined || isMaking}
          onClick={() => void make()}
          aria-describedby={replaced.length > 0 ? hint : undefined}
          data-testid="make-link"
        >
          <Link2 aria-hidden="true" />
          {replaced.length > 0 ? "Make and copy a new link" : "Make and copy a link"}
        </button>
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
      {replaced.length > 0 && (
        <p className="replaces" id={hint} data-testid="replaces">
          A new link replaces {named(replaced)}: {replaced.length === 1 ? "that one opens" : "those open"}{" "}
          nothing any more then.
        </p>
      )}
      <p className="replaced" role="status" data-testid="replaced">
        {done}
      </p>
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

/** A link that was given an end of its own stays until then. */
function isReplaced({ expires_at }: Link): boolean {
  return expires_at == null || expires_at <= Date.now();
}

function named(links: readonly Link[]): string {
  const [only] = links;
  const can = only?.role === "viewer" ? "can look" : "can draw";
  if (links.length === 1 && only !== undefined) {
    return `the link by which others ${can}, made ${timeAgo(only.created_at)}`;
  }
  return `the ${links.length} links by which others ${can}`;
}
