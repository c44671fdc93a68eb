// The whiteboard by keyboard, by ear, with few pixels and with the colours of the system; axe-core judges the rest.

import axe from "axe-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** What axe-core finds wrong on the page as it is. */
async function violations({ page }: Artist): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: judge } = window as unknown as { axe: typeof import("axe-core") };
    const results = await judge.run();
    return results.violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
    );
  });
}

/** What is said of the drawing. */
async function spoken(artist: Artist): Promise<string> {
  return (await artist.find("spoken").textContent()) ?? "";
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe-core finds nothing wrong on any screen, ${colorScheme}`, async () => {
    const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
    const { page } = { page: await alice.visit() };
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await alice.find("new-drawing").click();
    await alice.seesTheBoard();
    const drawing = alice.drawingId;
    const found: string[] = [];
    const judge = async (screen: string) => {
      found.push(...(await violations(alice)).map((violation) => `${screen}: ${violation}`));
    };
    await bob.join(alice, drawing);
    await page.keyboard.press("r");
    await page.keyboard.press("Enter");
    await alice.isSaved();
    await alice.find("style-button").click();
    await eventually(async () => expect(await alice.find("roster").locator("li").count()).toBe(2));
    await judge("the board");
    await page.keyboard.press("Escape");
    await alice.find("share-button").click();
    await alice.find("make-link").click();
    await alice.find("share-link").waitFor();
    await judge("the share dialog");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByText("Keyboard shortcuts").waitFor();
    await judge("the list of keys");
    await page.keyboard.press("Escape");
    await alice.find("menu").click();
    await judge("the menu");
    await alice.find("history-button").click();
    await alice.find("history-slider").waitFor();
    await judge("the history");
    await page.goto("/#/");
    await alice.find("drawing").waitFor();
    await judge("the first page");
    expect(found).toEqual([]);
  });
}

test("a letter and Enter draw in view, and Tab goes through the objects, with a ring and in words", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  await vera.join(alice, drawing, "viewer");
  const { keyboard } = alice.page;
  for (const [letter, name] of [
    ["r", "Rectangle"],
    ["o", "Ellipse"],
    ["a", "Arrow"],
  ] as const) {
    await keyboard.press(letter);
    await keyboard.press("Enter");
    await eventually(async () => expect(await spoken(alice)).toBe(`${name} drawn`));
  }
  await keyboard.press("t");
  await keyboard.press("Enter");
  await alice.find("writing").waitFor();
  await keyboard.type("hello");
  await keyboard.press("Control+Enter");
  await alice.isSaved();
  const made = (await alice.log()).filter(({ type }) => type === "object.create");
  expect(made.map((op) => (op as unknown as { kind: string }).kind)).toEqual([
    "rect",
    "ellipse",
    "path",
    "text",
  ]);
  expect(await alice.find("back-to-drawing").count()).toBe(0);

  // Escape lets go, and then leads to the tools; Shift and Tab from there to the drawing.
  await keyboard.press("Escape");
  await keyboard.press("Escape");
  await eventually(async () =>
    expect(await alice.page.evaluate(() => document.activeElement?.getAttribute("data-testid"))).toBe(
      "tool-select",
    ),
  );
  await alice.page.evaluate(() => (document.activeElement as HTMLElement).blur());
  const plain = await alice.ink();
  const heard: string[] = [];
  for (let nth = 0; nth < 4; nth += 1) {
    await keyboard.press("Tab");
    heard.push(await spoken(alice));
    await alice.says("selection-bar", /\b1 selected/);
  }
  expect(heard).toEqual([
    "Rectangle, ink, 1 of 4",
    "Ellipse, ink, 2 of 4",
    "Arrow, ink, 3 of 4",
    "Text “hello”, ink, 4 of 4",
  ]);
  await eventually(async () => expect(await alice.ink()).toBeGreaterThan(plain));
  await keyboard.press("Shift+Tab");
  expect(await spoken(alice)).toBe("Arrow, ink, 3 of 4");
  await keyboard.press("Delete");
  await eventually(async () => expect(await spoken(alice)).toBe("Deleted"));
  await alice.isSaved();

  // Who only looks hears the same, and selects nothing; beyond the last one the focus goes on to the page.
  const told: string[] = [];
  await eventually(async () => expect((await vera.log()).length).toBeGreaterThan(4));
  for (let nth = 0; nth < 3; nth += 1) {
    await vera.page.keyboard.press("Tab");
    told.push(await spoken(vera));
  }
  expect(told).toEqual(["Rectangle, ink, 1 of 3", "Ellipse, ink, 2 of 3", "Text “hello”, ink, 3 of 3"]);
  await vera.page.keyboard.press("Tab");
  expect(await vera.page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe(
    "My drawings",
  );
  await vera.page.keyboard.press("Shift+Tab");
  expect(await vera.page.evaluate(() => document.activeElement?.className)).toBe("stage");
});

test("Tab brings into view what is out of it, and Enter opens a text that is selected", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  const { page } = alice;
  await page.keyboard.press("t");
  await page.keyboard.press("Enter");
  await page.keyboard.type("far");
  await page.keyboard.press("Control+Enter");
  await alice.isSaved();
  await page.mouse.move(550, 350);
  await page.mouse.wheel(4_000, 0);
  await alice.find("back-to-drawing").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  await alice.find("back-to-drawing").waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await alice.find("writing").waitFor();
  await page.keyboard.type("ther");
  await page.keyboard.press("Control+Enter");
  await page.keyboard.press("Tab");
  await eventually(async () => expect(await spoken(alice)).toMatch(/“farther”/));
});

/** The labels of controls that are not seen as a whole, or lie below others. */
function hidden({ page }: Artist): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("button, a, input, [role=status] svg")]
      .filter((control) => {
        const { left, right, top, bottom } = control.getBoundingClientRect();
        if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) return true;
        const found = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
        const isSeen = found !== null && (control.contains(found) || found.contains(control));
        return right - left < 16 || !isSeen;
      })
      .map((control) => control.getAttribute("aria-label") ?? control.outerHTML),
  );
}

test("on 320 pixels all controls are seen, alone and with others, and nothing scrolls sideways", async () => {
  const [alice, bob, carol] = await Promise.all([
    world.artist("Alice"),
    world.artist("Bob"),
    world.artist("Carol"),
  ]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await carol.join(alice, drawing);
  const { page } = alice;
  for (const [width, height] of [
    [320, 568],
    [390, 760],
    [480, 800],
    [640, 400],
    [860, 700],
  ] as const) {
    await page.setViewportSize({ width, height });
    await eventually(async () => expect(await alice.find("roster").locator("li").count()).toBeGreaterThan(1));
    await eventually(async () => expect(await hidden(alice), `${width}`).toEqual([]));
    for (const name of ["Zoom in", "Zoom out", "Show everything", "Undo", "Colour and width", "Menu"]) {
      await page.getByRole("button", { name, exact: true }).waitFor();
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  }
  await page.setViewportSize({ width: 320, height: 568 });
  await page.keyboard.press("r");
  await page.keyboard.press("Enter");
  await alice.find("selection-bar").waitFor();
  await eventually(async () => expect(await hidden(alice), "with a selection").toEqual([]));
  await alice.find("style-button").click();
  const panel = await alice.find("style-panel").boundingBox();
  expect(panel?.x).toBeGreaterThanOrEqual(0);
  expect((panel?.x ?? 0) + (panel?.width ?? 999)).toBeLessThanOrEqual(320);
  expect(await hidden(alice), "with the panel of colours").toEqual([]);
  await page.goto("/#/");
  await alice.find("drawing").waitFor();
  await eventually(async () => expect(await hidden(alice), "the first page").toEqual([]));
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320);
});

test("with the colours of the system it is still seen which tool and colour are chosen, and the paper is light", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.page.emulateMedia({ forcedColors: "active", colorScheme: "dark" });
  await alice.find("style-button").click();
  const look = (testId: string, inner = "") =>
    alice.page.locator(`[data-testid=${testId}] ${inner}`.trim()).evaluate((it) => {
      const { backgroundColor, outlineStyle } = getComputedStyle(it);
      return { backgroundColor, outlineStyle };
    });
  const [pen, hand] = [await look("tool-pen"), await look("tool-hand")];
  expect(pen.backgroundColor).not.toBe(hand.backgroundColor);
  expect((await look("colour-1e1e1e")).outlineStyle).toBe("solid");
  expect((await look("colour-e03131")).outlineStyle).toBe("none");
  expect((await look("colour-e03131", ".swatch")).backgroundColor).toBe("rgb(224, 49, 49)");
  const lines = alice.page.locator(".style .line");
  const areSeen = await lines.evaluateAll((all) =>
    all.map((it) => {
      const around = it.closest("[aria-pressed=true]") ?? it.closest(".style") ?? it;
      return getComputedStyle(it).backgroundColor !== getComputedStyle(around).backgroundColor;
    }),
  );
  expect(areSeen).toEqual([true, true, true, true]);
  const paper = await alice.page.locator(".stage").evaluate((it) => getComputedStyle(it).backgroundColor);
  expect(paper).toBe("rgb(255, 255, 255)");
  expect(await violations(alice)).toEqual([]);
});
