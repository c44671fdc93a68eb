// @vitest-environment jsdom
// The hooks, on drawings that are driven by hand.

import type { RevcastClient, View, ViewObject } from "@revcast/client";
import { act, cleanup, render, renderHook } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  RevcastProvider,
  useConnection,
  useDrawing,
  useObjects,
  useOthers,
  useSyncStatus,
  useUndo,
} from "../src/index.js";

/** A drawing of which a test says how it stands. */
class FakeDrawing {
  connection = "connecting";
  sync = "saved";
  role: string | undefined;
  loaded = false;
  latency: number | undefined;
  pendingCount = 0;
  rejected: readonly unknown[] = [];
  presence = { others: [] as readonly unknown[], users: [] };
  picture: View = { canvas: {}, objects: [] };
  can = { canUndo: false, canRedo: false };
  undoFloor = 0;
  undone: string[] = [];
  readonly listeners = new Map<string, Set<() => void>>();

  constructor(readonly id: string) {}

  attempts = { transport: undefined, reconnectAttempts: 0, nextAttemptAt: undefined };
  isStarted = false;

  start = () => {
    this.isStarted = true;
  };
  view = () => this.picture;
  history = () => this.can;
  undo = (scope: string) => this.undone.push(scope) > 0;
  redo = () => true;
  close = () => {
    this.connection = "closed";
  };
  onChange = (listener: () => void) => this.#on("change", listener);
  onPresence = (listener: () => void) => this.#on("presence", listener);
  onConnection = (listener: () => void) => this.#on("connection", listener);
  onAttempts = (listener: () => void) => this.#on("attempts", listener);
  onSync = (listener: () => void) => this.#on("sync", listener);
  onRole = (listener: () => void) => this.#on("role", listener);
  onLatency = (listener: () => void) => this.#on("latency", listener);

  emit(event: string): void {
    for (const listener of this.listeners.get(event) ?? []) listener();
  }

  #on(event: string, listener: () => void): () => void {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }
}

let opened: FakeDrawing[] = [];
let isClientClosed = false;
const client = () =>
  ({
    open(id: string) {
      if (isClientClosed) throw new Error("closed");
      const drawing = new FakeDrawing(id);
      opened.push(drawing);
      return drawing;
    },
  }) as unknown as RevcastClient;

beforeEach(() => {
  opened = [];
  isClientClosed = false;
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** Renders a hook under StrictMode, where a client is. */
function renderStrictly<T, P>(hook: (props: P) => T, initialProps?: P) {
  const one = client();
  const wrapper = ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <RevcastProvider client={one}>{children}</RevcastProvider>
    </StrictMode>
  );
  return renderHook(hook, { wrapper, ...(initialProps === undefined ? {} : { initialProps }) });
}

const object = (object_id: string, x = 0): ViewObject => ({ object_id, kind: "rect", z: "", props: { x } });
const still = () => opened.filter((drawing) => drawing.connection !== "closed");

describe("useDrawing", () => {
  test("opens a drawing once under StrictMode, and closes it when nobody uses it any more", () => {
    const { result, unmount } = renderStrictly(() => useDrawing("d1"));
    vi.advanceTimersByTime(60_000);
    expect(opened).toHaveLength(1);
    expect(result.current).toBe(opened[0]);
    expect(still()).toHaveLength(1);
    unmount();
    expect(still()).toHaveLength(1);
    vi.advanceTimersByTime(60_000);
    expect(still()).toHaveLength(0);
  });

  test("shares a drawing between components, and keeps it while one of them is there", () => {
    const one = client();
    const Part = () => {
      useDrawing("d1");
      return null;
    };
    const page = (count: number) => (
      <RevcastProvider client={one}>
        {Array.from({ length: count }, (_, index) => (
          <Part key={String(index)} />
        ))}
      </RevcastProvider>
    );
    const { rerender } = render(page(2));
    rerender(page(1));
    vi.advanceTimersByTime(60_000);
    expect(opened).toHaveLength(1);
    expect(still()).toHaveLength(1);
  });

  test("changes to another drawing and closes the one before", () => {
    const { result, rerender } = renderStrictly(({ id }) => useDrawing(id), { id: "d1" });
    rerender({ id: "d2" });
    expect(result.current.id).toBe("d2");
    vi.advanceTimersByTime(60_000);
    expect(still().map((drawing) => drawing.id)).toEqual(["d2"]);
  });

  test("opens anew what was closed beneath it", () => {
    const { result, rerender } = renderStrictly(() => useDrawing("d1"));
    act(() => opened[0]?.close());
    rerender();
    expect(result.current.connection).not.toBe("closed");
  });

  test("shows what it has when the client was closed as a whole", () => {
    const { result, rerender } = renderStrictly(() => {
      const drawing = useDrawing("d1");
      return { drawing, ...useConnection(drawing) };
    });
    isClientClosed = true;
    act(() => {
      opened[0]?.close();
      opened[0]?.emit("connection");
    });
    rerender();
    expect(result.current.drawing).toBe(opened[0]);
    expect(result.current.connection).toBe("closed");
  });

  test("what was rendered and never mounted is never followed", () => {
    const one = client();
    const Failing = () => {
      useDrawing("d1");
      throw new Error("rendering fails");
    };
    const silence = vi.spyOn(console, "error").mockImplementation(() => {});
    expect(() =>
      render(
        <RevcastProvider client={one}>
          <Failing />
        </RevcastProvider>,
      ),
    ).toThrow("rendering fails");
    silence.mockRestore();
    vi.advanceTimersByTime(60_000);
    expect(opened.filter(({ isStarted }) => isStarted)).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the picture", () => {
  test("useObjects follows it", () => {
    const { result } = renderStrictly(() => useObjects(useDrawing("d1")));
    expect(result.current).toEqual([]);
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      drawing.picture = { canvas: {}, objects: [object("a")] };
      drawing.emit("change");
    });
    expect(result.current).toEqual([object("a")]);
  });

  test("a selector renders again only when what it takes differs", () => {
    let renders = 0;
    const { result } = renderStrictly(() => {
      renders += 1;
      return useObjects(useDrawing("d1"), (view) => view.objects.map((o) => o.object_id));
    });
    const drawing = opened[0] as FakeDrawing;
    const show = (...objects: ViewObject[]) =>
      act(() => {
        drawing.picture = { canvas: {}, objects };
        drawing.emit("change");
      });
    show(object("a"), object("b"));
    const before = renders;
    show(object("a", 5), object("b"));
    expect(renders).toBe(before);
    show(object("b"), object("a"));
    expect(result.current).toEqual(["b", "a"]);
  });
});

describe("how it stands", () => {
  test("useConnection tells of the connection, latency, role and loading", () => {
    const { result } = renderStrictly(() => useConnection(useDrawing("d1")));
    expect(result.current).toMatchObject({
      connection: "connecting",
      reconnectAttempts: 0,
      latency: undefined,
      role: undefined,
      loaded: false,
    });
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      Object.assign(drawing, { connection: "live", latency: 3, role: "editor", loaded: true });
      for (const event of ["connection", "latency", "role", "change"]) drawing.emit(event);
    });
    expect(result.current).toMatchObject({ connection: "live", latency: 3, role: "editor", loaded: true });
  });

  test("useSyncStatus counts what is pending while the state stays", () => {
    const { result } = renderStrictly(() => useSyncStatus(useDrawing("d1")));
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      Object.assign(drawing, { sync: "saving", pendingCount: 1 });
      drawing.emit("sync");
    });
    expect(result.current).toMatchObject({ sync: "saving", pendingCount: 1 });
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      drawing.pendingCount = 2;
      drawing.emit("change");
    });
    expect(result.current.pendingCount).toBe(2);
  });

  test("useOthers follows the roster", () => {
    const { result } = renderStrictly(() => useOthers(useDrawing("d1")));
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      drawing.presence.others = [{ connection_id: "c1" }];
      drawing.emit("presence");
    });
    expect(result.current).toEqual([{ connection_id: "c1" }]);
  });

  test("useUndo tells what can be done, and does it in its scope", () => {
    const { result } = renderStrictly(() => useUndo(useDrawing("d1"), "all"));
    expect(result.current).toMatchObject({ canUndo: false, canRedo: false });
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      drawing.can = { canUndo: true, canRedo: true };
      drawing.emit("change");
    });
    expect(result.current).toMatchObject({ canUndo: true, canRedo: true });
    expect(result.current.undo()).toBe(true);
    expect(opened[0]?.undone).toEqual(["all"]);
    act(() => {
      const drawing = opened[0] as FakeDrawing;
      drawing.undoFloor = 7;
      drawing.emit("change");
    });
    expect(result.current.undoFloor).toBe(7);
  });
});

test("a hook without a provider says so", () => {
  const silence = vi.spyOn(console, "error").mockImplementation(() => {});
  expect(() => renderHook(() => useDrawing("d1"))).toThrow("RevcastProvider");
  silence.mockRestore();
});
