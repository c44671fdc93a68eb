// @vitest-environment jsdom
// The life of a page, as the browser tells it.

import { afterEach, expect, test, vi } from "vitest";
import { watchPage } from "../src/page.js";

const events = { wake: vi.fn(), leave: vi.fn(), offline: vi.fn() };
afterEach(() => void vi.clearAllMocks());

function become(state: "hidden" | "visible"): void {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}

test("a page that is hidden or closed leaves, one that is seen again wakes up", () => {
  const unwatch = watchPage(events);
  become("hidden");
  expect([events.leave.mock.calls.length, events.wake.mock.calls.length]).toEqual([1, 0]);
  become("visible");
  expect([events.leave.mock.calls.length, events.wake.mock.calls.length]).toEqual([1, 1]);
  window.dispatchEvent(new Event("pagehide"));
  expect(events.leave).toHaveBeenCalledTimes(2);
  unwatch();
});

test("a page from the cache wakes up, one that was just loaded does not", () => {
  const unwatch = watchPage(events);
  window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: false }));
  expect(events.wake).not.toHaveBeenCalled();
  window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  expect(events.wake).toHaveBeenCalledTimes(1);
  unwatch();
});

test("the network goes and comes back", () => {
  const unwatch = watchPage(events);
  window.dispatchEvent(new Event("offline"));
  window.dispatchEvent(new Event("online"));
  expect([events.offline.mock.calls.length, events.wake.mock.calls.length]).toEqual([1, 1]);
  unwatch();
});

test("nothing is told once it is not watched any more", () => {
  watchPage(events)();
  become("hidden");
  become("visible");
  for (const type of ["pagehide", "online", "offline"]) window.dispatchEvent(new Event(type));
  expect([events.wake, events.leave, events.offline].flatMap((event) => event.mock.calls)).toEqual([]);
});
