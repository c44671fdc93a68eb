// SVG files, with a parser that counts in place of the browser's.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { sizedSvg, svgFile } from "../src/tools/svg-file.js";

const parse = vi.fn((source: string) => {
  const members = new Map(source.split(" ").map((member) => member.split("=") as [string, string]));
  return {
    documentElement: {
      localName: members.get("name"),
      namespaceURI: "http://www.w3.org/2000/svg",
      getAttribute: (name: string) => members.get(name) ?? null,
      hasAttribute: (name: string) => members.has(name),
      setAttribute: (name: string, value: string) => members.set(name, value),
    },
  };
});

beforeEach(() => {
  parse.mockClear();
  vi.stubGlobal(
    "DOMParser",
    class {
      parseFromString = parse;
    },
  );
  vi.stubGlobal(
    "XMLSerializer",
    class {
      serializeToString = () => "written";
    },
  );
});
afterEach(() => vi.unstubAllGlobals());

test("a text that is a picture is read once", async () => {
  const file = svgFile("name=svg width=30 height=20");
  expect(file).toMatchObject({ name: "SVG", type: "image/svg+xml" });
  expect(await sizedSvg(file as File)).toMatchObject({ width: 30, height: 20 });
  expect(parse).toHaveBeenCalledTimes(1);
  // What was read has another size since.
  expect(await sizedSvg(file as File)).toMatchObject({ width: 30, height: 20 });
});

test("a text that only begins like a picture is none", () => {
  expect(svgFile("name=parsererror")).toBeUndefined();
});

test("a file that is no picture is told of", async () => {
  await expect(sizedSvg(new File(["name=html"], "x.svg"))).rejects.toThrow("no SVG");
});
