// What the user is told of what went wrong, and of how it stands.

import { RevcastError } from "@revcast/client";
import { expect, test } from "vitest";
import { isAltGr, isLetterZ } from "../src/board/keys.js";
import { mayEdit } from "../src/board/ui.js";
import { reasonOf, syncLook, type UndoState, whyNothing, wordsOf } from "../src/board/words.js";

test("what is not allowed is told without the name of an op", () => {
  const error = new RevcastError("forbidden", "object.create is not for the role viewer");
  expect(wordsOf(error)).toBe("Your role does not allow it.");
});

test("a code without words is told as the server tells it", () => {
  expect(reasonOf({ code: "brand_new", detail: "it is full moon" })).toBe("it is full moon");
  expect(reasonOf({ code: "brand_new" })).toBe("brand_new");
});

test("what the client does not say to be stored is not told as stored, nor as being saved without a server", () => {
  const offline = { pendingCount: 3, connection: "offline" } as const;
  expect(syncLook({ ...offline, sync: "stored-locally" }).label).toBe("Stored on this device · 3");
  const { label, hint } = syncLook({ ...offline, sync: "saving" });
  expect(label).toBe("Not sent yet · 3");
  expect(`${label} ${hint}`).not.toMatch(/stored|device|saving/i);
  expect(syncLook({ ...offline, connection: "live", sync: "saving" }).label).toBe("Saving…");
});

test("what was refused does not hide that the rest is saved", () => {
  expect(syncLook({ sync: "rejected", pendingCount: 0, connection: "live" }).label).toBe("Saved");
});

const open: UndoState = { role: "editor", loaded: true, connection: "live", undoFloor: 0 };

test("why undo is grey: there is nothing of the user's, or of anybody's", () => {
  expect(whyNothing("undo", "mine", open)).toBe("Nothing of yours to undo");
  expect(whyNothing("redo", "mine", open)).toBe("Nothing of yours to redo");
  expect(whyNothing("undo", "all", { ...open, role: "owner" })).toBe("Nothing to undo");
});

test("why undo is grey: what there was has been folded", () => {
  expect(whyNothing("undo", "mine", { ...open, undoFloor: 9 })).toMatch(/yours.*too old/);
  expect(whyNothing("undo", "all", { ...open, undoFloor: 9 })).toMatch(/too old/);
});

test("why undo is grey: the role, the page, the network", () => {
  expect(whyNothing("undo", "mine", { ...open, role: "viewer" })).toMatch(/look at/);
  expect(whyNothing("redo", "mine", { ...open, connection: "outdated" })).toMatch(/reload/);
  expect(whyNothing("undo", "mine", { ...open, loaded: false })).toMatch(/loading/);
  const away = { ...open, loaded: false, connection: "offline" } as const;
  expect(whyNothing("undo", "mine", away)).toMatch(/out of reach/);
  // What was kept on the device can be undone without a network.
  expect(whyNothing("undo", "mine", { ...away, loaded: true })).toBe("Nothing of yours to undo");
});

test("the key of undo is known by its letter, and by its place where Alt makes something else of that", () => {
  expect(isLetterZ({ key: "z", code: "KeyY" })).toBe(true);
  expect(isLetterZ({ key: "Z", code: "KeyZ" })).toBe(true);
  expect(isLetterZ({ key: "y", code: "KeyZ" })).toBe(false);
  expect(isLetterZ({ key: "Ω", code: "KeyZ" })).toBe(true);
});

test("AltGr types a character, though Windows tells of it as Ctrl and Alt", () => {
  const key = (metaKey: boolean, held: string) => ({
    metaKey,
    getModifierState: (name: string) => name === held,
  });
  expect(isAltGr(key(false, "AltGraph"))).toBe(true);
  expect(isAltGr(key(false, "Alt"))).toBe(false);
  expect(isAltGr(key(true, "AltGraph"))).toBe(false);
});

test("who may draw: whoever has a role that may, or none that is known yet", () => {
  const roles = ["owner", "editor", undefined, "viewer", null] as const;
  expect(roles.map((role) => mayEdit(role, "live"))).toEqual([true, true, true, false, false]);
  expect(mayEdit("owner", "outdated")).toBe(false);
});
