// The title of the drawing. Its owner may change it; it is read again when somebody says in the log that it is another one,
// and when the page is looked at again.

import { unwrap } from "@revcast/client";
import { useClient, useConnection } from "@revcast/react";
import { useEffect, useState } from "react";
import { keptList } from "../home/kept-list.js";
import type { Board } from "./board.js";
import { wordsOf } from "./words.js";

const MAX_TITLE = 200;
/** The op that tells the others, those too who come back later. The title itself is not in it: the server has it. */
const RETITLED = "custom.retitled";

export function Title({ board }: { board: Board }) {
  const client = useClient();
  const { role, connection } = useConnection(board.drawing);
  const { drawing } = board;
  const drawing_id = drawing.id;
  // Until the server tells, and where it is out of reach: what the first page has last heard.
  const [saved, setSaved] = useState(() => keptList()?.find((row) => row.drawing_id === drawing_id)?.title);
  const [draft, setDraft] = useState<string>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: with a new role comes what it may read.
  useEffect(() => {
    // What was asked last: an answer to anything before it may be older.
    let wanted = 0;
    const load = async () => {
      wanted += 1;
      const mine = wanted;
      const { data } = await client.rest
        .GET("/v1/drawings/{drawing_id}", { params: { path: { drawing_id } } })
        .catch(() => ({ data: undefined }));
      if (mine === wanted && data !== undefined) setSaved(data.title);
    };
    void load();
    const again = () => void load();
    addEventListener("focus", again);
    const end = drawing.onOps((ops) => {
      if (ops.some(({ type }) => type === RETITLED)) again();
    });
    return () => {
      wanted += 1;
      removeEventListener("focus", again);
      end();
    };
  }, [client, drawing, drawing_id, role]);

  const title = saved === "" ? "Untitled" : (saved ?? (connection === "offline" ? "Drawing" : ""));
  useEffect(() => {
    document.title = title === "" ? "Revcast" : `${title} — Revcast`;
  }, [title]);

  const commit = async () => {
    const wanted = draft?.trim();
    setDraft(undefined);
    if (wanted === undefined || wanted === "" || wanted === saved) return;
    setSaved(wanted);
    try {
      unwrap(
        await client.rest.PATCH("/v1/drawings/{drawing_id}", {
          params: { path: { drawing_id } },
          body: { title: wanted },
        }),
      );
    } catch {
      setSaved(saved);
      board.notify("The title could not be changed.");
      return;
    }
    try {
      drawing.edit({ type: RETITLED, data: {} });
    } catch (problem) {
      board.notify(wordsOf(problem));
    }
  };

  if (role !== "owner") {
    return (
      <h1 className="title" data-testid="title" title={title}>
        {title}
      </h1>
    );
  }
  return (
    <input
      className="title"
      aria-label="Title"
      data-testid="title"
      value={draft ?? title}
      maxLength={MAX_TITLE}
      size={Math.max(6, Math.min(26, (draft ?? title).length))}
      // The press that gives the focus selects all of it; what browsers do by themselves would undo that, each in its own
      // way. The next press puts the caret somewhere.
      onMouseDown={(event) => {
        if (document.activeElement === event.currentTarget) return;
        event.preventDefault();
        event.currentTarget.focus();
        event.currentTarget.select();
      }}
      onFocus={(event) => event.target.select()}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={() => void commit()}
      onKeyDown={(event) => {
        if (event.key === "Escape") setDraft(undefined);
        if (event.key === "Enter") event.currentTarget.blur();
      }}
    />
  );
}
