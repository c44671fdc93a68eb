// Words that the drawing does not have: the user may take them elsewhere.

import { useId, useState } from "react";
import type { Board } from "./board.js";
import { copied } from "./clipboard.js";
import { Dialog } from "./dialog.js";
import { useUi } from "./ui.js";

/** What was being written when writing it was no longer allowed. */
export function RescuedText({ board }: { board: Board }) {
  const rescued = useUi(board.ui, (ui) => ui.rescued);
  if (rescued === undefined) return null;
  const close = () => board.ui.setState({ rescued: undefined });
  return (
    <Dialog title="What you were writing" onClose={close}>
      <p>It is not in the drawing, which you cannot change now. Copy it if you want to keep it.</p>
      <CopyableText text={rescued} label="Your text" />
      <div className="row end">
        <button type="button" className="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

export function CopyableText({ text, label }: { text: string; label: string }) {
  const id = useId();
  const [isCopied, setIsCopied] = useState<boolean>();
  return (
    <div className="kept-text">
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        readOnly
        value={text}
        rows={Math.min(8, text.split("\n").length + 1)}
        data-testid="kept-text"
        onFocus={(event) => event.target.select()}
      />
      <div className="row">
        <button
          type="button"
          className="button primary"
          data-testid="copy-text"
          onClick={() => void copied(Promise.resolve(text)).then(setIsCopied)}
        >
          {isCopied === true ? "Copied" : "Copy"}
        </button>
        <span role="status">{isCopied === false ? "The browser did not copy it: do so by hand." : ""}</span>
      </div>
    </div>
  );
}

/** The text that an op was to write. */
export function textIn(op: object): string | undefined {
  const written: unknown = Reflect.get(op, "set") ?? Reflect.get(op, "props");
  if (typeof written !== "object" || written === null) return undefined;
  const text: unknown = Reflect.get(written, "text");
  return typeof text === "string" && text.trim() !== "" ? text : undefined;
}
