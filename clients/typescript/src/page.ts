// The life of the page: it is hidden, frozen, woken, closed, and loses the network. Outside of a browser nothing happens.

export interface PageEvents {
  /** It is seen again, came back from the cache, or the network is back. */
  wake(): void;
  /** It is hidden or about to go: there may be no further moment. */
  leave(): void;
  /** The network is gone. */
  offline(): void;
}

/** Tells what happens to the page, until the result is called. */
export function watchPage(events: PageEvents): () => void {
  if (typeof document === "undefined" || typeof window === "undefined") return () => {};
  const ended = new AbortController();
  const { signal } = ended;
  document.addEventListener(
    "visibilitychange",
    () => (document.visibilityState === "hidden" ? events.leave() : events.wake()),
    { signal },
  );
  window.addEventListener("pagehide", () => events.leave(), { signal });
  window.addEventListener("pageshow", (event) => event.persisted && events.wake(), { signal });
  window.addEventListener("online", () => events.wake(), { signal });
  window.addEventListener("offline", () => events.offline(), { signal });
  return () => ended.abort();
}
