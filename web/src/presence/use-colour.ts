// The colour of a user in what React renders: rendered again when it is another one, not with every move of a cursor.

import { useSyncExternalStore } from "react";
import type { Drawing } from "../revcast.js";
import { colourAmong } from "./colour.js";

export function useColour({ presence }: Drawing, userId: string): string {
  return useSyncExternalStore(
    (listener) => presence.onChange(listener),
    () => colourAmong(presence.users, userId),
  );
}
