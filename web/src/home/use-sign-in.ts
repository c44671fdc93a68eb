// Whether the user is asked to sign in, and when: not in the middle of a stroke, which a dialog would break off.

import { useEffect, useState, useSyncExternalStore } from "react";
import { onSignIn, signInState } from "../session.js";

export function useSignIn(): ReturnType<typeof signInState> {
  return useSyncExternalStore(onSignIn, signInState);
}

/** The pointers that are down, wherever that is. */
const pressed = new Set<number>();
const listeners = new Set<() => void>();
const OPTIONS = { capture: true, passive: true };

addEventListener("pointerdown", ({ pointerId }) => void pressed.add(pointerId), OPTIONS);
for (const type of ["pointerup", "pointercancel"] as const) {
  addEventListener(
    type,
    ({ pointerId }) => {
      pressed.delete(pointerId);
      for (const listener of listeners) listener();
    },
    OPTIONS,
  );
}

/** True as soon as no pointer is down, and from then on. */
export function useUnpressed(): boolean {
  const [isFree, setIsFree] = useState(pressed.size === 0);
  useEffect(() => {
    const look = () => {
      // What is done with the pointer that comes up is done first.
      if (pressed.size === 0) setTimeout(() => setIsFree(true));
    };
    listeners.add(look);
    return () => void listeners.delete(look);
  }, []);
  return isFree;
}
