// The home screen: my drawings, a new one, and under which name I draw.

import { RevcastError, unwrap } from "@revcast/client";
import { useClient } from "@revcast/react";
import { FolderOpen, LogOut, Plus, RefreshCw } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { newId } from "../id.js";
import { colourOfUser, initialsOf } from "../presence/colour.js";
import { guest, myName, pastedToken, pasteToken, rename } from "../session.js";
import { DrawingCard } from "./drawing-card.js";
import { keepList, keptList, type Row } from "./kept-list.js";
import { Logo } from "./logo.js";

/** How long the list is waited for, in milliseconds. */
const PATIENCE = 10_000;
/** How long until it is asked for again while the server is out of reach, in milliseconds. */
const LOOK_AGAIN = 5_000;

type List =
  | { readonly is: "loading" }
  | { readonly is: "failed" }
  | {
      readonly is: "there";
      readonly rows: readonly Row[];
      readonly next: string | undefined;
      /** Whether it is as it last was, since the server is out of reach. */
      readonly isOld: boolean;
    };

export function Home({ onIdentity }: { onIdentity: () => void }) {
  const client = useClient();
  const [list, setList] = useState<List>({ is: "loading" });
  const [isMaking, setIsMaking] = useState(false);
  const [problem, setProblem] = useState<string>();
  const heading = useRef<HTMLHeadingElement>(null);

  const load = useCallback(
    async (cursor?: string) => {
      try {
        const query = cursor === undefined ? { limit: 50 } : { limit: 50, cursor };
        const signal = AbortSignal.timeout(PATIENCE);
        const data = unwrap(await client.rest.GET("/v1/drawings", { params: { query }, signal }));
        setList((before) => ({
          is: "there",
          rows: [...(cursor !== undefined && before.is === "there" ? before.rows : []), ...data.drawings],
          next: data.next_cursor ?? undefined,
          isOld: false,
        }));
      } catch (error) {
        const isAway = error instanceof RevcastError && error.retryable;
        setList((before) => afterFailure(before, isAway));
      }
    },
    [client],
  );

  useEffect(() => {
    document.title = "Revcast";
    void load();
    const again = () => void load();
    const abort = new AbortController();
    for (const type of ["focus", "online"]) addEventListener(type, again, { signal: abort.signal });
    return () => abort.abort();
  }, [load]);

  useEffect(() => {
    if (list.is === "there") keepList(list.rows);
    const isAway = list.is === "there" && list.isOld;
    if (!isAway) return undefined;
    const timer = setTimeout(() => void load(), LOOK_AGAIN);
    return () => clearTimeout(timer);
  }, [list, load]);

  const make = async () => {
    setIsMaking(true);
    setProblem(undefined);
    try {
      const drawing_id = newId();
      await client.createDrawing({ drawing_id, title: "Untitled" });
      location.hash = `#/d/${drawing_id}`;
    } catch {
      setProblem("The drawing could not be made. Is the server there?");
      setIsMaking(false);
    }
  };

  /** Takes a drawing that is gone off the list. Pages that were loaded stay. */
  const drop = ({ drawing_id }: Row) => {
    setList((before) =>
      before.is === "there"
        ? { ...before, rows: before.rows.filter((row) => row.drawing_id !== drawing_id) }
        : before,
    );
    // The button that had the focus goes with its row.
    heading.current?.focus();
  };

  return (
    <main className="home">
      <header>
        <Logo />
        <h1>Revcast</h1>
        <Identity onIdentity={onIdentity} />
      </header>
      <div className="home-head">
        <h2 ref={heading} tabIndex={-1}>
          My drawings
        </h2>
        <button
          type="button"
          className="button primary"
          onClick={() => void make()}
          disabled={isMaking}
          data-testid="new-drawing"
        >
          <Plus aria-hidden="true" /> New drawing
        </button>
      </div>
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {list.is === "loading" && <Skeleton />}
      {list.is === "failed" && (
        <div className="empty">
          <p>Your drawings could not be loaded.</p>
          <button type="button" className="button" onClick={() => void load()}>
            <RefreshCw aria-hidden="true" /> Try again
          </button>
        </div>
      )}
      {list.is === "there" && list.isOld && (
        <div className="old" role="status" data-testid="old-list">
          <p>
            The server is out of reach. These are your drawings as they last were; those that you have opened
            in this browser can be opened now.
          </p>
          <button type="button" className="button" onClick={() => void load()}>
            <RefreshCw aria-hidden="true" /> Try again
          </button>
        </div>
      )}
      {list.is === "there" && list.rows.length === 0 && list.next === undefined && (
        <div className="empty">
          <FolderOpen aria-hidden="true" />
          <p>Nothing here yet. Make a drawing, or open a link that somebody gave you.</p>
        </div>
      )}
      {list.is === "there" && list.rows.length > 0 && (
        <ul className="drawings">
          {list.rows.map((row) => (
            <DrawingCard key={row.drawing_id} row={row} onProblem={setProblem} onGone={() => drop(row)} />
          ))}
        </ul>
      )}
      {list.is === "there" && list.next !== undefined && (
        <button type="button" className="button more" onClick={() => void load(list.next)}>
          Show more
        </button>
      )}
    </main>
  );
}

/** What is shown when the list could not be loaded: the one that is there, or that was kept for a time like this. */
function afterFailure(before: List, isAway: boolean): List {
  if (before.is === "there") return { ...before, isOld: before.isOld || isAway };
  const rows = isAway ? keptList() : undefined;
  if (rows === undefined || rows.length === 0) return { is: "failed" };
  return { is: "there", rows, next: undefined, isOld: true };
}

function Identity({ onIdentity }: { onIdentity: () => void }) {
  const [name, setName] = useState(() => myName());
  if (pastedToken() !== undefined) {
    return (
      <div className="identity">
        <span className="identity-name">{name}</span>
        <button
          type="button"
          className="button"
          onClick={() => {
            pasteToken(undefined);
            onIdentity();
          }}
        >
          <LogOut aria-hidden="true" /> Sign out
        </button>
      </div>
    );
  }
  const commit = () => {
    if (name.trim() === "") return setName(guest().name);
    if (name.trim() === guest().name) return;
    rename(name);
    setName(guest().name);
    onIdentity();
  };
  return (
    <label className="identity">
      <span
        className="avatar"
        style={{ "--user": colourOfUser(guest().sub) } as React.CSSProperties}
        aria-hidden="true"
      >
        {initialsOf(name)}
      </span>
      <span className="sr-only">Your name</span>
      <input
        value={name}
        maxLength={40}
        onChange={(event) => setName(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
        }}
        data-testid="my-name"
        autoComplete="nickname"
      />
    </label>
  );
}

function Skeleton() {
  return (
    <ul className="drawings" aria-hidden="true">
      {[0, 1, 2].map((nth) => (
        <li key={nth} className="skeleton" />
      ))}
    </ul>
  );
}
