// Writing a text in place: a field over the canvas, as large and where the text will be.

import { useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { writersOf } from "../presence/writers.js";
import { toScreen } from "../scene/camera.js";
import { fitted } from "../scene/graphemes.js";
import { FONT, LINE_HEIGHT } from "../scene/kinds/text.js";
import { MAX_TEXT, tellTooLong } from "../tools/text.js";
import type { Board } from "./board.js";
import { commitText } from "./texts.js";
import { useUi, type Writing } from "./ui.js";

export function WritingBox({ board }: { board: Board }) {
  const writing = useUi(board.ui, (ui) => ui.writing);
  if (writing === undefined) return null;
  return <Field key={`${writing.objectId}/${writing.x}/${writing.y}`} board={board} writing={writing} />;
}

function Field({ board, writing }: { board: Board; writing: Writing }) {
  const [text, setText] = useState(writing.text);
  const ref = useRef<HTMLTextAreaElement>(null);
  const isOver = useRef(false);
  const latest = useRef(text);
  latest.current = text;
  const camera = useSyncExternalStore(
    (listener) => board.stage.onCamera(listener),
    () => board.stage.camera,
  );

  // A layout effect: it ends before the board does.
  useLayoutEffect(() => {
    const field = ref.current;
    isOver.current = false;
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
    const finish = () => {
      if (isOver.current) return;
      isOver.current = true;
      commitText(board, writing, latest.current);
    };
    // Before the client sends for the last time what there is. The page may come back.
    const leave = () => {
      finish();
      board.ui.setState({ writing: undefined });
    };
    addEventListener("pagehide", leave, { capture: true });
    return () => {
      removeEventListener("pagehide", leave, { capture: true });
      // Taken away by another tool, a role or a way to another page: what was written stays written, if it may.
      finish();
    };
  }, [board, writing]);
  useEffect(() => {
    const names = writersOf(board.drawing.presence.others, writing.objectId);
    if (names !== "") board.notify(`${names} in this text, too. What each of you writes is kept.`);
  }, [board, writing]);

  const finish = () => {
    if (isOver.current) return;
    isOver.current = true;
    commitText(board, writing, text);
    board.ui.setState({ writing: undefined });
  };
  /** Where the caret belongs, after the text was cut. */
  const caret = useRef<number>(undefined);
  const take = (wanted: string) => {
    const { text: kept, end } = fitted(text, wanted, MAX_TEXT);
    setText(kept);
    if (kept === wanted) return;
    caret.current = end;
    tellTooLong(board);
  };
  const { x, y } = toScreen(camera, writing);
  const size = writing.fontSize * camera.zoom;
  const lines = text.split("\n");
  // As high as what is in it, lines that do not fit into one included.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text and its size are what decides.
  useLayoutEffect(() => {
    const field = ref.current;
    if (field === null) return;
    if (caret.current !== undefined) field.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }, [text, size]);
  return (
    <textarea
      ref={ref}
      className="writing"
      aria-label="Text"
      data-testid="writing"
      value={text}
      rows={lines.length}
      spellCheck={false}
      style={{
        transform: `translate(${x}px, ${y}px)`,
        font: `${size}px/${LINE_HEIGHT} ${FONT}`,
        color: writing.colour,
        width: `${Math.max(2, ...lines.map((line) => line.length + 1))}em`,
        maxWidth: `${Math.ceil(writing.width * camera.zoom) + 1}px`,
      }}
      onChange={(event) => {
        // Whoever composes a character has not written it yet.
        if ((event.nativeEvent as InputEvent).isComposing) setText(event.target.value);
        else take(event.target.value);
      }}
      onCompositionEnd={(event) => take(event.currentTarget.value)}
      onBlur={finish}
      onKeyDown={(event) => {
        event.stopPropagation();
        // These keys are for the list of suggestions then.
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) finish();
      }}
    />
  );
}
