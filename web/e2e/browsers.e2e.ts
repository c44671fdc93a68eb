// What browsers do not have, or do otherwise: the page works all the same, and says what is true.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** Makes a link in the dialog, and returns it. */
async function makeLink(artist: Artist): Promise<string> {
  await artist.find("share-button").click();
  await artist.find("make-link").click();
  return artist.find("share-link").inputValue();
}

/** The text that is selected in the field that has the focus. */
function selected(artist: Artist): Promise<string> {
  return artist.page.evaluate(() => {
    const field = document.activeElement as HTMLInputElement;
    return field.value.slice(field.selectionStart ?? 0, field.selectionEnd ?? 0);
  });
}

/** Drops a picture on the drawing, as opaque as `alpha` says, and returns as what and how large it was sent. */
async function dropPicture(artist: Artist, alpha: number) {
  const { length } = await artist.log();
  await artist.page.evaluate(async (opacity) => {
    const canvas = new OffscreenCanvas(900, 600);
    const ctx = canvas.getContext("2d");
    const data = ctx?.createImageData(900, 600);
    if (!ctx || !data) throw new Error("no canvas");
    for (let at = 0; at < data.data.length; at += 1) {
      // Waves with some noise on them, as photographs are.
      const wave = 128 + 90 * Math.sin(at / 997) + 20 * Math.random();
      data.data[at] = at % 4 === 3 ? opacity : wave;
    }
    ctx.putImageData(data, 0, 0);
    const transfer = new DataTransfer();
    transfer.items.add(new File([await canvas.convertToBlob()], "picture.png", { type: "image/png" }));
    const place = { clientX: 500, clientY: 350, bubbles: true };
    document
      .querySelector(".stage")
      ?.dispatchEvent(new DragEvent("drop", { ...place, dataTransfer: transfer }));
  }, alpha);
  const href = await eventually(async () => {
    const op = (await artist.log())[length] as { readonly props?: { readonly href?: string } } | undefined;
    expect(op?.props?.href).toBeDefined();
    return op?.props?.href ?? "";
  });
  return artist.page.evaluate(async (url) => {
    const image = new Image();
    image.src = url;
    await image.decode();
    return { type: /^data:([^;]*)/.exec(url)?.[1], width: image.naturalWidth };
  }, href);
}

test("a browser that blocks site data has a guest who draws, and is the same one in the next drawing", async () => {
  const alice = await world.artist("Alice");
  await alice.context.addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage"]) {
      Object.defineProperty(window, name, {
        get: () => {
          throw new DOMException("The operation is insecure.", "SecurityError");
        },
      });
    }
  });
  await alice.create();
  const { sub } = alice.person;
  await alice.draw([300, 300], [600, 300]);
  await alice.isSaved();
  await alice.page.getByRole("link", { name: "My drawings" }).click();
  await alice.find("drawing").waitFor();
  await alice.find("new-drawing").click();
  await alice.seesTheBoard();
  expect(alice.person.sub).toBe(sub);
});

test("a browser that does not write WebP gets a photograph as a large JPEG, and one with holes as PNG", async () => {
  const alice = await world.artist("Alice");
  await alice.context.addInitScript(() => {
    const { toBlob } = HTMLCanvasElement.prototype;
    // As Safari does.
    HTMLCanvasElement.prototype.toBlob = function (done, type, quality) {
      return toBlob.call(this, done, type === "image/webp" ? "image/png" : type, quality);
    };
  });
  await alice.create();
  const photograph = await dropPicture(alice, 255);
  expect(photograph.type).toBe("image/jpeg");
  expect(photograph.width).toBeGreaterThan(250);
  expect((await dropPicture(alice, 128)).type).toBe("image/png");
});

test("a new link is copied by the click that makes it", async () => {
  const alice = await world.artist("Alice");
  await alice.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await alice.create();
  const link = await makeLink(alice);
  await alice.says("copy-link", /copied/i);
  expect(await alice.page.evaluate(() => navigator.clipboard.readText())).toBe(link);
});

test("a link that the browser does not copy is not told as copied, and is there to be copied by hand", async () => {
  const alice = await world.artist("Alice");
  await alice.context.addInitScript(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
  });
  await alice.create();
  const link = await makeLink(alice);
  await alice.find("copy-link").click();
  await alice.page.getByText("The browser did not copy it").waitFor();
  expect(await alice.find("copy-link").textContent()).not.toMatch(/copied/i);
  expect(await selected(alice)).toBe(link);
});

test("a click selects the title and a link, and a link is selected by the next click, too", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  // It comes from the server, after the board.
  await eventually(async () => expect(await alice.find("title").inputValue()).toBe("Untitled"));
  await alice.find("title").click();
  await eventually(async () => expect(await selected(alice)).toBe("Untitled"));
  const link = await makeLink(alice);
  for (let nth = 0; nth < 2; nth += 1) {
    await alice.find("share-link").click();
    await eventually(async () => expect(await selected(alice)).toBe(link));
  }
});
