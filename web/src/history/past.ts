// Looking at the past: a revision, or all of them one after the other. Reads; never changes the drawing.

import { Canvas, unwrap } from "@revcast/client";
import type { Board } from "../board/board.js";
import type { CommittedOp, RevcastClient } from "../revcast.js";

/** How long a replay takes at most, and at least, in milliseconds; between them, so many ops a second. */
const LONGEST = 18_000;
const SHORTEST = 2_500;
const OPS_A_SECOND = 30;
/** Pages that are read ahead of what is shown. */
const AHEAD = 6_000;
const PAGE = 1_000;

export function openHistory(board: Board): void {
  const head = board.drawing.revision;
  board.showPast(board.drawing.view());
  board.ui.setState({
    past: { revision: head, head, time: undefined, isPlaying: false, isLoading: false },
    writing: undefined,
    isStyleOpen: false,
  });
}

export function closeHistory(board: Board): void {
  board.showPast(undefined);
  board.ui.setState({ past: undefined });
}

export class Traveller {
  readonly #board: Board;
  readonly #client: RevcastClient;
  /** What was asked last: an answer to anything before it comes too late. */
  #wanted = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frame = 0;
  #abort: AbortController | undefined;

  constructor(board: Board, client: RevcastClient) {
    this.#board = board;
    this.#client = client;
  }

  /** Shows a revision, a moment after the last of many such wishes. */
  go(revision: number): void {
    this.stop();
    this.#set({ revision, isLoading: true });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(revision), 120);
  }

  /** Shows how it came about. */
  play(): void {
    this.stop();
    const head = this.#board.ui.getState().past?.head ?? 0;
    if (head === 0) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#set({ isPlaying: true, revision: 0, time: undefined, isLoading: false });
    void this.#play(head, abort.signal);
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#wanted += 1;
    if (this.#board.ui.getState().past?.isPlaying === true) this.#set({ isPlaying: false });
  }

  async #load(revision: number): Promise<void> {
    this.#wanted += 1;
    const wanted = this.#wanted;
    try {
      const [snapshot, time] = await Promise.all([
        this.#board.drawing.snapshotAt({ revision }),
        this.#timeOf(revision),
      ]);
      if (wanted !== this.#wanted) return;
      this.#board.showPast(snapshot.view);
      this.#set({ time, isLoading: false });
    } catch {
      if (wanted !== this.#wanted) return;
      this.#set({ isLoading: false });
      this.#board.notify("This revision could not be loaded.");
    }
  }

  async #timeOf(revision: number): Promise<number | undefined> {
    if (revision === 0) return undefined;
    return (await this.#page(revision - 1, 1))[0]?.ts;
  }

  async #page(after: number, limit: number, signal?: AbortSignal): Promise<readonly CommittedOp[]> {
    const { id, epoch } = this.#board.drawing;
    const path = { drawing_id: id };
    const answer = await this.#client.rest.GET("/v1/drawings/{drawing_id}/ops", {
      params: { path, query: { after, limit, ...(epoch === undefined ? {} : { epoch }) } },
      ...(signal === undefined ? {} : { signal }),
    });
    const data = unwrap(answer);
    if (typeof data !== "object" || !("ops" in data)) throw new Error("no ops");
    return data.ops as unknown as readonly CommittedOp[];
  }

  async #play(head: number, signal: AbortSignal): Promise<void> {
    const canvas = new Canvas();
    const ops: CommittedOp[] = [];
    const duration = Math.min(LONGEST, Math.max(SHORTEST, (head / OPS_A_SECOND) * 1_000));
    let isRead = false;
    let problem = false;
    const read = async () => {
      while (ops.length < head && !signal.aborted) {
        if (ops.length > canvas.revision + AHEAD) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        const page = await this.#page(ops.length, PAGE, signal);
        if (page.length === 0) break;
        ops.push(...page);
      }
      isRead = true;
    };
    read().catch(() => {
      problem = true;
    });
    this.#board.showPast(canvas.view());
    let shown = 0;
    let last: number | undefined;
    let progress = 0;
    const step = (now: number) => {
      if (signal.aborted) return;
      // Time stands still while there is nothing to show.
      if (last !== undefined && (shown < ops.length || isRead))
        progress += Math.min(100, now - last) / duration;
      last = now;
      const goal = Math.min(ops.length, head, Math.ceil(head * progress));
      const before = shown;
      const deadline = performance.now() + 12;
      while (shown < goal && performance.now() < deadline) {
        const op = ops[shown];
        if (op !== undefined) canvas.apply(op);
        shown += 1;
      }
      if (shown > before) {
        this.#board.showPast(canvas.view());
        this.#set({ revision: shown, time: ops[shown - 1]?.ts });
      }
      if (problem) {
        this.#set({ isPlaying: false });
        this.#board.notify("The history could not be loaded.");
      } else if (isRead && shown >= Math.min(ops.length, head)) this.#set({ isPlaying: false });
      else this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #set(part: {
    revision?: number;
    time?: number | undefined;
    isPlaying?: boolean;
    isLoading?: boolean;
  }): void {
    const { past } = this.#board.ui.getState();
    if (past !== undefined) this.#board.ui.setState({ past: { ...past, ...part } });
  }
}
