// What the keys do.

import { Dialog } from "./dialog.js";

const GROUPS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    "Tools",
    [
      ["V", "Select"],
      ["H", "Move around"],
      ["P", "Pen"],
      ["R", "Rectangle"],
      ["O", "Ellipse"],
      ["A", "Arrow"],
      ["T", "Text"],
      ["I", "Image"],
      ["E", "Eraser"],
      ["Enter", "Draw with the tool; write in a text"],
    ],
  ],
  [
    "Edit",
    [
      ["Ctrl Z", "Undo"],
      ["Ctrl ⇧ Z", "Redo"],
      ["Ctrl Alt Z", "Undo anyone’s, as the owner; with ⇧ redo"],
      ["Ctrl A", "Select all"],
      ["Ctrl D", "Duplicate"],
      ["Tab", "Next object; with ⇧ the one before"],
      ["Delete", "Delete the selection"],
      ["Arrows", "Nudge; with ⇧ ten times as far"],
      ["Ctrl C", "Copy; with X cut"],
      ["Ctrl V", "Paste objects, images or a text"],
      ["Esc", "Let go; leave the history; then to the tools"],
    ],
  ],
  [
    "View",
    [
      ["Space drag", "Move around"],
      ["Arrows", "Move around, with nothing selected"],
      ["Ctrl wheel", "Zoom"],
      ["+ −", "Zoom in, zoom out"],
      ["0", "100 %"],
      ["⇧ 1", "Show everything"],
      ["?", "This list"],
    ],
  ],
];

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose} isWide>
      <div className="keys">
        {GROUPS.map(([group, keys]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {keys.map(([key, does]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
