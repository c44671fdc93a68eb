// The screen of one drawing: the canvases, and around them everything to press. Owns how long the board lives.

import { useConnection, useDrawing } from "@revcast/react";
import { useEffect, useRef, useState } from "react";
import { HistoryBar } from "../history/bar.js";
import { Message } from "../home/message.js";
import { measure } from "../measure.js";
import { Cursors } from "../presence/cursors.js";
import { Presenter } from "../presence/presenter.js";
import { Writers } from "../presence/writers.js";
import { Stage } from "../scene/stage.js";
import { Input } from "../tools/input.js";
import { Back } from "./back.js";
import { FollowBanner, Notice, SelectionBar } from "./bars.js";
import { Board } from "./board.js";
import { listenToCopying } from "./copying.js";
import { BoardDialogs } from "./dialogs.js";
import { showDots } from "./dots.js";
import { takeGifts } from "./gifts.js";
import { listenToKeys } from "./keys.js";
import { RescuedText } from "./rescued.js";
import { HOW, Spoken } from "./spoken.js";
import { Toolbar } from "./toolbar.js";
import { TopBar } from "./topbar.js";
import { createUi, useUi } from "./ui.js";
import { watchFocus } from "./walk.js";
import { WritingBox } from "./writing.js";
import { ZoomBar } from "./zoom-bar.js";

export function BoardScreen({ drawingId }: { drawingId: string }) {
  const drawing = useDrawing(drawingId);
  const { role, loaded } = useConnection(drawing);
  const [ui] = useState(createUi);
  const [board, setBoard] = useState<Board>();
  const [isMissing, setIsMissing] = useState(false);
  const element = useRef<HTMLDivElement>(null);
  const paper = useRef<HTMLDivElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const moving = useRef<HTMLCanvasElement>(null);
  const cursorLayer = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (element.current === null || still.current === null || moving.current === null) return;
    if (cursorLayer.current === null || paper.current === null) return;
    const stage = new Stage(element.current, still.current, moving.current);
    const fresh = new Board(drawing, ui, stage);
    const input = new Input(fresh);
    const presenter = new Presenter(fresh);
    const cursors = new Cursors(cursorLayer.current, drawing, stage);
    const writers = new Writers(cursorLayer.current, drawing, stage);
    input.onPoint = (world) => presenter.point(world);
    input.refreshCursor();
    const ends = [
      listenToKeys(fresh, input),
      listenToCopying(fresh),
      takeGifts(fresh),
      watchFocus(fresh),
      ui.subscribe((now, before) => {
        if (now.tool !== before.tool) input.refreshCursor();
        if ((now.past === undefined) !== (before.past === undefined)) {
          cursors.hide(now.past !== undefined);
          writers.hide(now.past !== undefined);
          input.refreshCursor();
        }
      }),
      drawing.onRole(() => input.refreshCursor()),
      drawing.onError((error) => {
        if (error.code === "not_found") setIsMissing(true);
      }),
      measure(stage),
      showDots(stage, paper.current),
    ];
    setBoard(fresh);
    return () => {
      for (const end of ends) end();
      cursors.close();
      writers.close();
      presenter.close();
      input.close();
      fresh.close();
      stage.close();
      setBoard(undefined);
    };
  }, [drawing, ui]);

  const isGone = role === null || (isMissing && role === undefined);
  // Of a drawing that was never seen, the server does not tell whether it is there.
  const wasThere = role === null && loaded;
  return (
    // What covers a drawing that is gone is the main part of the page then.
    <div className="board" data-role={role ?? "none"} role={isGone ? undefined : "main"}>
      <div
        className="stage"
        ref={element}
        aria-label="Drawing"
        aria-describedby={HOW}
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keys draw on it, and go through what is on it.
        tabIndex={0}
      >
        <div ref={paper} className="dots" />
        <canvas ref={still} className="layer" data-testid="canvas-still" />
        <canvas ref={moving} className="layer" data-testid="canvas-moving" />
        <div ref={cursorLayer} className="cursors" aria-hidden="true" />
      </div>
      {board !== undefined && !isGone && <Chrome board={board} isLoaded={loaded} />}
      {board !== undefined && <RescuedText board={board} />}
      {isGone && (
        <div className="cover">
          <Message
            title={wasThere ? "You no longer have access" : "There is no such drawing"}
            text={
              wasThere
                ? "It has been deleted, or its owner has taken you off it."
                : "It may have been deleted, or you have not been invited to it."
            }
          >
            <button type="button" className="button" onClick={() => location.reload()}>
              Try again
            </button>
            <a className="button primary" href="#/">
              My drawings
            </a>
          </Message>
        </div>
      )}
    </div>
  );
}

function Chrome({ board, isLoaded }: { board: Board; isLoaded: boolean }) {
  const isPast = useUi(board.ui, (ui) => ui.past !== undefined);
  const { role, connection } = useConnection(board.drawing);
  const canEdit = role !== "viewer" && role !== null && connection !== "outdated" && !isPast;
  return (
    <>
      {!isLoaded && connection !== "offline" && connection !== "outdated" && (
        <div className="loading" role="status" aria-label="Loading the drawing" />
      )}
      <TopBar board={board} />
      <FollowBanner board={board} />
      <Back board={board} />
      {canEdit && <WritingBox board={board} />}
      {isPast ? (
        <HistoryBar board={board} />
      ) : (
        <div className="bottom">
          {canEdit && <SelectionBar board={board} />}
          <Toolbar board={board} canEdit={canEdit} />
        </div>
      )}
      <ZoomBar board={board} isPast={isPast} />
      <BoardDialogs board={board} />
      <Notice board={board} />
      <Spoken board={board} />
    </>
  );
}
