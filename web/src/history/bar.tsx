// The bar below the past: a slider over all revisions, and a replay.

import { useClient } from "@revcast/react";
import { Pause, Play, X } from "lucide-react";
import { useEffect, useState } from "react";
import type { Board } from "../board/board.js";
import { useUi } from "../board/ui.js";
import { timeOf } from "../home/time.js";
import { closeHistory, Traveller } from "./past.js";

export function HistoryBar({ board }: { board: Board }) {
  const client = useClient();
  const [traveller] = useState(() => new Traveller(board, client));
  const past = useUi(board.ui, (ui) => ui.past);
  useEffect(() => {
    traveller.go(board.ui.getState().past?.head ?? 0);
    return () => traveller.stop();
  }, [board, traveller]);
  useEffect(() => {
    // First of all: the slider keeps its keys to itself. Menus and dialogs have an Escape of their own.
    const leave = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || document.querySelector("dialog[open], [role=menu]") !== null) return;
      event.preventDefault();
      event.stopPropagation();
      closeHistory(board);
    };
    addEventListener("keydown", leave, { capture: true });
    return () => removeEventListener("keydown", leave, { capture: true });
  }, [board]);
  if (past === undefined) return null;
  const { revision, head, time, isPlaying, isLoading } = past;
  const when = time === undefined ? (revision === 0 ? "The beginning" : "") : timeOf(time);
  return (
    <div className="bottom">
      <section className="history panel" aria-label="History">
        <div className="history-head">
          <strong role="status">You are looking at the past</strong>
          <span>
            {isLoading ? "Loading…" : when} · {revision} of {head}
          </span>
        </div>
        <div className="history-row">
          <button
            type="button"
            className="tool"
            aria-label={isPlaying ? "Stop" : "Replay"}
            title={isPlaying ? "Stop" : "Replay"}
            data-testid="history-play"
            onClick={() => (isPlaying ? traveller.stop() : traveller.play())}
          >
            {isPlaying ? <Pause aria-hidden="true" /> : <Play aria-hidden="true" />}
          </button>
          <input
            type="range"
            min={0}
            max={head}
            value={revision}
            aria-label="Revision"
            aria-valuetext={`Revision ${revision} of ${head}. ${when}`}
            data-testid="history-slider"
            onChange={(event) => traveller.go(Number(event.target.value))}
          />
          <button
            type="button"
            className="button"
            data-testid="history-close"
            onClick={() => {
              traveller.stop();
              closeHistory(board);
            }}
          >
            <X aria-hidden="true" /> Now
          </button>
        </div>
      </section>
    </div>
  );
}
