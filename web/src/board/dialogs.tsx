// The dialogs of the board, one at a time.

import { useSyncStatus } from "@revcast/react";
import { ExportDialog } from "../export/dialog.js";
import { clearAll } from "./actions.js";
import type { Board } from "./board.js";
import { Confirm } from "./confirm.js";
import { Dialog } from "./dialog.js";
import { HelpDialog } from "./help.js";
import { CopyableText, textIn } from "./rescued.js";
import { ShareDialog } from "./share.js";
import { useUi } from "./ui.js";
import { reasonOf, wordsOf } from "./words.js";

export function BoardDialogs({ board }: { board: Board }) {
  const dialog = useUi(board.ui, (ui) => ui.dialog);
  const close = () => board.ui.setState({ dialog: undefined });
  switch (dialog) {
    case "share":
      return <ShareDialog board={board} onClose={close} />;
    case "help":
      return <HelpDialog onClose={close} />;
    case "export":
      return <ExportDialog board={board} onClose={close} />;
    case "clear":
      return <ClearDialog board={board} onClose={close} />;
    case "rejected":
      return <RejectedDialog board={board} onClose={close} />;
    default:
      return null;
  }
}

function ClearDialog({ board, onClose }: { board: Board; onClose: () => void }) {
  return (
    <Confirm
      title="Clear the drawing?"
      verb="Clear"
      testId="clear-confirm"
      onConfirm={() => clearAll(board)}
      onClose={onClose}
    >
      Everything that is on it disappears, for everybody. You can undo it.
    </Confirm>
  );
}

function RejectedDialog({ board, onClose }: { board: Board; onClose: () => void }) {
  const { rejected } = useSyncStatus(board.drawing);
  const counts = new Map<string, number>();
  for (const { error } of rejected) {
    const reason = reasonOf(error);
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const texts = rejected.flatMap(({ op }) => textIn(op) ?? []);
  const sendAgain = () => {
    try {
      board.drawing.resend(rejected.map(({ op }) => op.op_id));
      onClose();
    } catch (error) {
      board.notify(wordsOf(error));
    }
  };
  return (
    <Dialog title="Changes that were refused" onClose={onClose}>
      <p>The server did not take these changes of yours, so they are not in the drawing.</p>
      <ul className="reasons">
        {[...counts].map(([reason, count]) => (
          <li key={reason}>
            <strong>{count} ×</strong> {reason}
          </li>
        ))}
      </ul>
      {texts.length > 0 && <CopyableText text={texts.join("\n\n")} label="What you wrote in them" />}
      <div className="row end">
        <button type="button" className="button" onClick={sendAgain} data-testid="resend">
          Send again
        </button>
        <button
          type="button"
          className="button primary"
          onClick={() => {
            board.drawing.dismissRejected();
            onClose();
          }}
        >
          Dismiss
        </button>
      </div>
    </Dialog>
  );
}
