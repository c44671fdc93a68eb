// The scenario of loadtest/artillery against a real server for some seconds, and against what has to make it fail.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { artillery } from "./support/programs.js";
import { startProxy } from "./support/proxy.js";
import { startServer } from "./support/testbed.js";

const SHORT = { DURATION: 2, ARRIVALS: 2, LATENCY_MS: 10_000, WORKERS: 1 };

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => {
  server = await startServer();
});
after(() => server.close());

/** @param {{ code: unknown, output: string }} ended @param {RegExp} sentence */
function failsWith({ code, output }, sentence) {
  assert.ok(typeof code === "number" && code > 0, output);
  assert.match(output, sentence);
}

describe("Artillery", { concurrency: 3 }, () => {
  test("users draw, undo and leave, and each gets what was committed", async () => {
    const { code, output } = await artillery({ ...SHORT, BASE_URL: server.url });
    assert.equal(code, 0, output);
    for (const check of [
      "revcast.gaps == 0",
      "revcast.ops_delivered == revcast.ops_expected",
      "vusers.failed == 0",
    ]) {
      assert.ok(output.includes(`ok: ${check}`), output);
    }
  });

  test("a server that loses a frame fails the run", async () => {
    const proxy = await startProxy(server.url, "lose");
    try {
      failsWith(await artillery({ ...SHORT, BASE_URL: proxy.url }), /fail: revcast\.gaps == 0/);
      assert.equal(proxy.faults, 1);
    } finally {
      await proxy.close();
    }
  });

  test("a server that is down ends the run with a sentence", async () => {
    failsWith(
      await artillery({ ...SHORT, BASE_URL: "http://127.0.0.1:9" }),
      /no server answers at http:\/\/127.0.0.1:9/,
    );
  });

  test("a wrong token ends the run with a sentence", async () => {
    failsWith(
      await artillery({ ...SHORT, BASE_URL: server.url, TOKEN: "wrong" }),
      /the server refuses the token/,
    );
  });

  test("a limit that is met fails the run, and the flag that raises it is named", async () => {
    const strict = await startServer("--write-requests-per-second", "3");
    try {
      failsWith(await artillery({ ...SHORT, BASE_URL: strict.url }), /--write-requests-per-second 0/);
    } finally {
      await strict.close();
    }
  });
});
