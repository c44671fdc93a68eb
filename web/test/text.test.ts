// Texts that are too long, for the drawing or for a line.

import { expect, test } from "vitest";
import { beginningOf, fitted, graphemesOf } from "../src/scene/graphemes.js";
import { wrapped } from "../src/scene/wrap.js";

const FAMILY = "👩‍👩‍👧‍👦";

test("a text is cut between characters, never inside one", () => {
  expect(beginningOf(`${"a".repeat(4_999)}🎉`, 5_000)).toBe("a".repeat(4_999));
  expect(beginningOf(`ab${FAMILY}c`, 8)).toBe("ab");
  expect(beginningOf(`ab${FAMILY}c`, 2 + FAMILY.length)).toBe(`ab${FAMILY}`);
  expect(beginningOf("e\u0301e\u0301", 3)).toBe("e\u0301");
  expect(beginningOf("🇩🇪🇫🇷", 6)).toBe("🇩🇪");
  expect(beginningOf("short", 5_000)).toBe("short");
});

test("half of a character is none", () => {
  expect(beginningOf("a\ud83cb", 10)).toBe("a\ufffdb");
});

test("of what is inserted into a full text, what fits is kept, and all that was there", () => {
  expect(fitted("abcyz", "abc12345yz", 7)).toEqual({ text: "abc12yz", end: 5 });
  expect(fitted("abcyz", `abc1${FAMILY}yz`, 8)).toEqual({ text: "abc1yz", end: 4 });
  expect(fitted("🎉", "🎊", 7)).toEqual({ text: "🎊", end: 2 });
  expect(fitted("ab🎉", "ab🎊🎊🎊", 7)).toEqual({ text: "ab🎊🎊", end: 6 });
  // One that was too long before may stay so.
  expect(fitted("abcdef", "abcdXef", 4)).toEqual({ text: "abcdef", end: 4 });
  expect(fitted("abcdef", "abc", 4)).toEqual({ text: "abc", end: 3 });
});

/** Each character is one wide. */
function wrap(text: string, width: number): string[] {
  return wrapped(text, width, (part) => graphemesOf(part).length).split("\n");
}

test("long lines are broken at spaces, and the spaces go", () => {
  expect(wrap("the quick brown fox jumps", 10)).toEqual(["the quick", "brown fox", "jumps"]);
  expect(wrap("as it is\n\n  so it stays", 20)).toEqual(["as it is", "", "  so it stays"]);
  expect(wrap("  indented and long", 10)).toEqual(["  indented", "and long"]);
});

test("a word that is longer than a line is broken between characters", () => {
  expect(wrap("abcdefghijklmnop", 6)).toEqual(["abcdef", "ghijkl", "mnop"]);
  expect(wrap("see https://example.org/a", 12)).toEqual(["see https://", "example.org/", "a"]);
  expect(wrap("far along abcdefghijklmnop", 12)).toEqual(["far along", "abcdefghijkl", "mnop"]);
  expect(wrap(FAMILY.repeat(3), 2)).toEqual([FAMILY.repeat(2), FAMILY]);
  expect(wrap("漢字漢字漢字", 4)).toEqual(["漢字漢字", "漢字"]);
});

test("nothing but spaces is lost, and no line is too broad", () => {
  const text = `${"word ".repeat(200)}${"x".repeat(300)} ${"漢".repeat(50)}`;
  const lines = wrap(text, 17);
  expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(17);
});
