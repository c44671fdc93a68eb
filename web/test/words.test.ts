// What the user is told of what went wrong, and of how it stands.

import { RevcastError } from "@revcast/client";
import { expect, test } from "vitest";
import { reasonOf, syncLook, wordsOf } from "../src/board/words.js";

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
