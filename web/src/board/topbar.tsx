// The upper edge: the title and how it stands on the left, who is here and what can be done with it all on the right.

import { useConnection, useUndo } from "@revcast/react";
import { ArrowLeft, Download, History, Keyboard, Menu, Redo2, Trash2, Undo2, UserPlus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { openHistory } from "../history/past.js";
import { Roster } from "../presence/roster.js";
import { redo, undo } from "./actions.js";
import { ConnectionBadge, SyncBadge } from "./badges.js";
import type { Board } from "./board.js";
import { Title } from "./title.js";
import { useUi } from "./ui.js";
import { whyNothing } from "./words.js";

export function TopBar({ board }: { board: Board }) {
  const { role } = useConnection(board.drawing);
  const isPast = useUi(board.ui, (ui) => ui.past !== undefined);
  return (
    <div className="topbar">
      <div className="panel title-panel">
        <a className="tool" href="#/" aria-label="My drawings" title="My drawings">
          <ArrowLeft aria-hidden="true" />
        </a>
        <Title board={board} />
        {role !== undefined && role !== null && (
          <span className="role-badge" data-role={role} data-testid="role-badge">
            {role === "viewer" ? "View only" : role === "editor" ? "Editor" : "Owner"}
          </span>
        )}
        <SyncBadge board={board} />
        <ConnectionBadge board={board} />
      </div>
      <div className="panel people-panel">
        <Roster board={board} />
        <button
          type="button"
          className="button primary share"
          onClick={() => board.ui.setState({ dialog: "share" })}
          data-testid="share-button"
          aria-label="Share"
        >
          <UserPlus aria-hidden="true" />
          <span className="wide-only">Share</span>
        </button>
        <MenuButton board={board} isOwner={role === "owner"} isPast={isPast} />
      </div>
    </div>
  );
}

function MenuButton({ board, isOwner, isPast }: { board: Board; isOwner: boolean; isPast: boolean }) {
  const [isOpen, setIsOpen] = useState(false);
  const ref = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    itemsIn(ref.current)[0]?.focus();
    const close = ({ target }: PointerEvent) => {
      if (!ref.current?.contains(target as Node)) setIsOpen(false);
    };
    addEventListener("pointerdown", close, true);
    return () => removeEventListener("pointerdown", close, true);
  }, [isOpen]);
  const wasOwner = useRef(isOwner);
  useEffect(() => {
    // Items go with the role, and one of them may have the focus.
    if (wasOwner.current && !isOwner && isOpen) {
      button.current?.focus();
      setIsOpen(false);
    }
    wasOwner.current = isOwner;
  }, [isOwner, isOpen]);
  const press = (event: React.KeyboardEvent) => {
    // None of them is for the board.
    event.stopPropagation();
    const all = itemsIn(ref.current);
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all.at(to % all.length)?.focus();
    }
    if (event.key === "Escape") button.current?.focus();
    if (event.key === "Escape" || event.key === "Tab") setIsOpen(false);
  };
  const items = [
    {
      label: "History",
      Icon: History,
      testId: "history-button",
      act: () => openHistory(board),
      isOff: isPast,
    },
    {
      label: "Export",
      Icon: Download,
      testId: "export-button",
      act: () => board.ui.setState({ dialog: "export" }),
    },
    {
      label: "Keyboard shortcuts",
      Icon: Keyboard,
      testId: "help-button",
      act: () => board.ui.setState({ dialog: "help" }),
    },
    {
      label: "Clear the drawing",
      Icon: Trash2,
      testId: "clear",
      act: () => board.ui.setState({ dialog: "clear" }),
      isOff: !isOwner || isPast,
      isDanger: true,
    },
  ];
  return (
    <div className="menu" ref={ref}>
      <button
        ref={button}
        type="button"
        className="tool"
        aria-label="Menu"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
        data-testid="menu"
      >
        <Menu aria-hidden="true" />
      </button>
      {isOpen && (
        <div className="menu-items panel" role="menu" tabIndex={-1} onKeyDown={press}>
          {isOwner && !isPast && (
            <AnyonesItems
              board={board}
              onDone={() => {
                button.current?.focus();
                setIsOpen(false);
              }}
            />
          )}
          {items
            .filter(({ isOff }) => isOff !== true)
            .map(({ label, Icon, testId, act, isDanger }) => (
              <button
                key={label}
                type="button"
                role="menuitem"
                tabIndex={-1}
                className={isDanger === true ? "danger" : ""}
                data-testid={testId}
                onClick={() => {
                  // A dialog that closes gives the focus back to it.
                  button.current?.focus();
                  setIsOpen(false);
                  act();
                }}
              >
                <Icon aria-hidden="true" /> {label}
              </button>
            ))}
        </div>
      )}
    </div>
  );
}

/** What an owner may take back, whoever made it. Only while the menu is open is it worth looking for. */
function AnyonesItems({ board, onDone }: { board: Board; onDone: () => void }) {
  const { canUndo, canRedo, undoFloor } = useUndo(board.drawing, "all");
  const { role, loaded, connection } = useConnection(board.drawing);
  const state = { role, loaded, connection, undoFloor };
  const items = [
    {
      what: "undo",
      label: "Undo anyone’s",
      keys: "Control+Alt+Z",
      Icon: Undo2,
      can: canUndo,
      act: undo,
    },
    {
      what: "redo",
      label: "Redo anyone’s",
      keys: "Control+Alt+Shift+Z",
      Icon: Redo2,
      can: canRedo,
      act: redo,
    },
  ] as const;
  return items.map(({ what, label, keys, Icon, can, act }) => {
    const why = can ? undefined : whyNothing(what, "all", state);
    return (
      <button
        key={what}
        type="button"
        role="menuitem"
        tabIndex={-1}
        aria-disabled={!can}
        aria-description={why}
        aria-keyshortcuts={keys}
        title={why ?? `${label} — ${keys.replace("Control", "Ctrl")}`}
        data-testid={`${what}-anyones`}
        onClick={() => {
          onDone();
          act(board, "all");
        }}
      >
        <Icon aria-hidden="true" /> {label}
      </button>
    );
  });
}

function itemsIn(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
}
