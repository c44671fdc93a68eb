// A question before something that is not to happen by accident.

import type { ReactNode } from "react";
import { Dialog } from "./dialog.js";

export function Confirm({
  title,
  verb,
  testId,
  onConfirm,
  onClose,
  children,
}: {
  title: string;
  /** What is done, on the button that does it. */
  verb: string;
  /** Names that button to tests. */
  testId: string;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{children}</p>
      <div className="row end">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button danger"
          data-testid={testId}
          onClick={() => {
            onConfirm();
            onClose();
          }}
        >
          {verb}
        </button>
      </div>
    </Dialog>
  );
}
