// Writing a text in place: a field over the canvas, as large and where the text will be.

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { toScreen } from "../scene/camera.js";
import { FONT, LINE_HEIGHT } from "../scene/kinds/text.js";
import { MAX_TEXT } from "../tools/text.js";
import { quantized } from "../tools/tool.js";
import type { Board } from "./board.js";
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

  useEffect(() => {
    const field = ref.current;
    isOver.current = false;
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
    // Taken away by another tool or a role: what was written stays written, if it may.
    return () => {
      if (!isOver.current && field?.isConnected === false) commit(board, writing, latest.current);
    };
  }, [board, writing]);

  const finish = (isKept: boolean) => {
    if (isOver.current) return;
    isOver.current = true;
    if (isKept) commit(board, writing, text);
    board.ui.setState({ writing: undefined });
  };
  const { x, y } = toScreen(camera, writing);
  const size = writing.fontSize * camera.zoom;
  const lines = text.split("\n");
  return (
    <textarea
      ref={ref}
      className="writing"
      aria-label="Text"
      data-testid="writing"
      value={text}
      maxLength={MAX_TEXT}
      rows={lines.length}
      wrap="off"
      spellCheck={false}
      style={{
        transform: `translate(${x}px, ${y}px)`,
        font: `${size}px/${LINE_HEIGHT} ${FONT}`,
        color: writing.colour,
        width: `${Math.max(2, ...lines.map((line) => line.length + 1))}em`,
      }}
      onChange={(event) => setText(event.target.value)}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        // These keys are for the list of suggestions then.
        if (event.nativeEvent.isComposing) return;
        if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey)))
          finish(true);
      }}
    />
  );
}

function commit(
  board: Board,
  { objectId, x, y, fontSize, colour, text: before }: Writing,
  text: string,
): void {
  const written = text.replace(/\s+$/, "");
  if (written === before) return;
  const { drawing } = board;
  board.edit(() => {
    if (objectId !== undefined) {
      if (written === "") drawing.deleteObjects([objectId]);
      else drawing.updateObject(objectId, { set: { text: written } });
    } else if (written !== "") {
      const props = { text: written, x: quantized(x), y: quantized(y), fontSize, color: colour };
      const id = drawing.createObject({ kind: "text", props, z: board.topZ() });
      board.setTool("select");
      board.select([id]);
    }
  });
}
