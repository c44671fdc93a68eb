// What buttons and keys act on.

import { expect, test, vi } from "vitest";
import { selectAll } from "../src/board/actions.js";
import type { Board } from "../src/board/board.js";

/** What is selected on a canvas with fog at its back. */
function allOf(user: { isOwner: boolean }): readonly string[] {
  const objects = [
    { object_id: "fog", kind: "fog" },
    { object_id: "rect", kind: "rect" },
  ];
  const select = vi.fn<(ids: readonly string[]) => void>();
  const board = { ...user, setTool: () => {}, stage: { sync: () => {}, scene: { objects } }, select };
  selectAll(board as unknown as Board);
  return select.mock.calls.flatMap(([ids]) => ids);
}

test("all that an editor selects leaves out the fog, which is for owners to move", () => {
  expect(allOf({ isOwner: false })).toEqual(["rect"]);
  expect(allOf({ isOwner: true })).toEqual(["fog", "rect"]);
});
