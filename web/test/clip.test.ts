// What objects are on the clipboard: for this board, and for other programs.

import { expect, test } from "vitest";
import { htmlOfClip, plainTextOf, readClip, readHtmlClip, writeClip } from "../src/board/clip.js";
import type { ViewObject } from "../src/revcast.js";
import { svgOfObjects } from "../src/scene/svg.js";

const RECT: ViewObject = {
  object_id: "a",
  kind: "rect",
  z: "V",
  props: { x: 1, y: 2, width: 30, height: 40 },
};
const NOTE: ViewObject = { object_id: "b", kind: "text", z: "V", props: { text: "a < b\n& c", x: 0, y: 50 } };
const LINE: ViewObject = {
  object_id: "c",
  kind: "stroke",
  z: "V",
  tool: "pen",
  props: { color: "#e03131", size: 4 },
  points: [
    [0, 0],
    [50, 10, 0.5],
  ],
  complete: false,
};

test("objects come back as they were copied, and strokes whole", () => {
  const clip = readClip(writeClip({ id: "1", objects: [RECT, NOTE, LINE] }));
  expect(clip?.objects).toEqual([
    { ...RECT, z: "" },
    { ...NOTE, z: "" },
    { ...LINE, z: "", complete: true },
  ]);
});

test("what is no clip is none, and what in one is no object is passed over", () => {
  for (const written of ["", "words", "null", "[]", "{}", '{"format":2,"id":"1","objects":[]}']) {
    expect(readClip(written)).toBeUndefined();
  }
  const odd = [
    null,
    7,
    { kind: "rect", props: {} },
    { ...RECT, kind: "x".repeat(33) },
    { ...RECT, props: [] },
    { ...LINE, points: [] },
    { ...LINE, points: [[1, "2"]] },
    { ...LINE, points: [[1, 2, 3, 4]] },
  ];
  expect(readClip(JSON.stringify({ format: 1, id: "1", objects: odd }))).toBeUndefined();
  expect(readClip(JSON.stringify({ format: 1, id: "1", objects: [...odd, RECT] }))?.objects).toHaveLength(1);
});

test("other programs get the texts, and a picture in which nothing is markup that was not meant to be", () => {
  expect(plainTextOf([RECT, NOTE])).toBe("a < b\n& c");
  const svg = svgOfObjects([RECT, NOTE, LINE]);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="/);
  for (const part of ["<rect ", ">a &lt; b<", ">&amp; c<", 'fill="#e03131"']) expect(svg).toContain(part);
  const evil = svgOfObjects([{ ...RECT, kind: "path", props: { d: 'M0 0L1 1"><script>', stroke: '"/>' } }]);
  expect(evil).not.toContain("<script>");
});

test("objects are read from HTML, whatever a browser puts around it, and other programs see the words", () => {
  const objects = [RECT, { ...NOTE, props: { ...NOTE.props, text: "\"'<b>&amp;\ud83d % 🎉" } }];
  const clip = writeClip({ id: "copy", objects });
  const html = htmlOfClip(clip, "a < b\n& c");
  expect(html).toContain(">a &lt; b<br>&amp; c</span>");
  expect(readHtmlClip(html)).toEqual(readClip(clip));
  const wrapped = `<html><body>\n<!--StartFragment-->${html}<!--EndFragment-->\n</body></html>`;
  expect(readHtmlClip(wrapped)).toEqual(readClip(clip));
});

test("HTML without objects, and what only says that it has some, is no clip", () => {
  const withValue = (value: string) => `<span data-revcast-objects="${value}">x</span>`;
  expect(readHtmlClip("")).toBeUndefined();
  expect(readHtmlClip("<b>some words</b>")).toBeUndefined();
  expect(readHtmlClip(withValue("%E0%A4%A"))).toBeUndefined();
  expect(readHtmlClip(withValue("{}"))).toBeUndefined();
  const later = JSON.stringify({ format: 2, id: "copy", objects: [RECT] });
  expect(readHtmlClip(withValue(encodeURIComponent(later)))).toBeUndefined();
  // What is no object is left out, as it is from the type of our own.
  const mixed = writeClip({ id: "copy", objects: [RECT, { kind: 7 } as unknown as ViewObject] });
  expect(readHtmlClip(withValue(encodeURIComponent(mixed)))?.objects).toHaveLength(1);
});
