// Shortcuts on keyboards of several languages.

import { expect, test } from "vitest";
import { letterOf, signOf } from "../src/board/layout.js";

test.each([
  ["QWERTY", "z", "KeyZ", "z"],
  ["QWERTY with Shift", "Z", "KeyZ", "z"],
  ["AZERTY", "a", "KeyQ", "a"],
  ["QWERTZ", "z", "KeyY", "z"],
  ["Dvorak", "p", "KeyR", "p"],
  ["Russian", "я", "KeyZ", "z"],
  ["Russian with Shift", "Я", "KeyZ", "z"],
  ["Greek", "ρ", "KeyR", "r"],
  ["Arabic", "ر", "KeyV", "v"],
  ["Arabic, a ligature", "لا", "KeyB", "b"],
  ["Hebrew", "ר", "KeyR", "r"],
  ["Thai, a mark", "้", "KeyH", "h"],
  ["Korean", "ㅁ", "KeyA", "a"],
])("%s: %s is the letter of the key", (_, key, code, letter) => {
  expect(letterOf({ key, code })).toBe(letter);
});

test.each([
  ["Dvorak has a full stop where E is", ".", "KeyE"],
  ["Bépo has another letter where T is", "è", "KeyT"],
  ["Russian has a letter where the comma is", "б", "Comma"],
  ["a key with a name", "Enter", "Enter"],
  ["a dead key", "Dead", "KeyE"],
  ["a digit", "1", "Digit1"],
])("%s: no letter", (_, key, code) => {
  expect(letterOf({ key, code })).toBeUndefined();
});

test("the digit row is a digit where it types no plain sign", () => {
  expect(signOf({ key: "0", code: "Digit0" })).toBe("0");
  expect(signOf({ key: "à", code: "Digit0" })).toBe("0");
  expect(signOf({ key: "۰", code: "Digit0" })).toBe("0");
  expect(signOf({ key: "=", code: "Digit0" })).toBe("=");
  expect(signOf({ key: "+", code: "Equal" })).toBe("+");
});
