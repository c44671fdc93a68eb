// Each script of loadtest/k6 against a real server for some seconds, and against what has to make it fail.
//
// It is not k6 that runs them here but a stand-in (k6/run.js), unless the variable K6 names the program.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { k6 } from "./support/programs.js";
import { startProxy } from "./support/proxy.js";
import { startServer } from "./support/testbed.js";

/** Little load: the machine may have other work, and what is dropped or late for that is no failure. */
const SHORT = {
  JOIN: 5,
  DURATION: 2,
  DRAIN: 3,
  RATE: 10,
  WRITERS: 2,
  USERS: 3,
  DROP_PERCENT: 100,
  LATENCY_MS: 10_000,
};
/** k6's exit codes. */
const [THRESHOLDS, INVALID_SCRIPT, ABORTED] = [99, 107, 108];

/** @type {Awaited<ReturnType<typeof startServer>>} */
let server;
before(async () => {
  server = await startServer();
});
after(() => server.close());

/** @param {any} ended */
function succeeds({ code, output, summary }) {
  assert.equal(code, 0, output);
  assert.equal(summary.metrics.delivery_ratio.values.min, 1, output);
  assert.ok(
    summary.metrics.ops_sent?.values.count > 0 || summary.metrics.storm_ops?.values.count > 0,
    output,
  );
}

/** @param {any} ended @param {number} code @param {RegExp} sentence */
function failsWith(ended, code, sentence) {
  assert.equal(ended.code, code, ended.output);
  assert.match(ended.output, sentence);
}

/** @param {any} ended @param {string} metric */
function breaks({ code, output, summary }, metric) {
  assert.equal(code, THRESHOLDS, output);
  const { thresholds } = summary.metrics[metric];
  assert.ok(
    Object.values(thresholds).some(({ ok }) => !ok),
    `${metric} holds:\n${output}`,
  );
}

// They wait, most of the time.
describe("k6", { concurrency: 4 }, () => {
  test("writers.js: what is written at an open rate reaches all readers", async () => {
    const ended = await k6("writers", { ...SHORT, BASE_URL: server.url, READERS: 2, DRAWINGS: 2, OPS: 3 });
    succeeds(ended);
    assert.match(ended.output, /ops\/s were committed/);
  });

  test("readers.js: readers that drop their socket resume without a gap", async () => {
    const ended = await k6("readers", { ...SHORT, BASE_URL: server.url, READERS: 3, RECONNECT: 0.5 });
    succeeds(ended);
    assert.ok(ended.summary.metrics.resumes.values.count > 0, ended.output);
  });

  const PHONES = {
    ...SHORT,
    FOREGROUND: 1,
    BACKGROUND: 1,
    DURATION: 5,
    PHONES: 3,
    RATE: 5,
    RESUME_MS: 20_000,
  };

  test("mobile.js: phones read over HTTP what they have missed", async () => {
    const ended = await k6("mobile", { ...PHONES, BASE_URL: server.url });
    succeeds(ended);
    assert.ok(ended.summary.metrics.ops_over_rest.values.count > 0, ended.output);
    assert.ok(ended.summary.metrics.resume_ms.values.count > 0, ended.output);
  });

  test("mobile.js: what comes through the other network is checked", async () => {
    const other = await startProxy(server.url, "lose");
    try {
      breaks(await k6("mobile", { ...PHONES, BASE_URL: server.url, OTHER_URL: other.url }), "gaps");
      assert.ok(other.faults > 0);
    } finally {
      await other.close();
    }
  });

  test("mixed.js: tells the margin to each target", async () => {
    const room = { USERS: 4, MESSAGES: 40, CANVAS_KB: 10, MB_PER_S: 0.01 };
    const ended = await k6("mixed", { ...SHORT, ...room, BASE_URL: server.url });
    succeeds(ended);
    for (const target of ["users", "messages/s sent", "canvas, KB", "MB/s received", "ms to sockets, p99"]) {
      assert.match(ended.output, new RegExp(`${target} .*[+-][\\d.]+ %`), ended.output);
    }
    assert.ok(ended.summary.setup_data.canvas_bytes >= 10_000);
  });

  test("storm.js: all come back at once and have everything", async () => {
    const ended = await k6("storm", { ...SHORT, BASE_URL: server.url, READERS: 6, ROUNDS: 2, BEHIND: 150 });
    succeeds(ended);
    assert.equal(ended.summary.metrics.returns.values.count, 12, ended.output);
  });

  const FAULTS = /** @type {const} */ ([
    ["lose", "gaps"],
    ["swap", "order_violations"],
    ["repeat", "duplicates"],
  ]);
  for (const [fault, metric] of FAULTS) {
    test(`a server that would ${fault} a frame fails the run by ${metric}`, async () => {
      const proxy = await startProxy(server.url, fault);
      try {
        const ended = await k6("readers", { ...SHORT, BASE_URL: proxy.url, READERS: 2, RECONNECT: 60 });
        assert.ok(proxy.faults > 0, ended.output);
        breaks(ended, metric);
      } finally {
        await proxy.close();
      }
    });
  }

  test("an op that never comes fails the run by delivery_ratio", async () => {
    // Nothing but the end of the run tells of it.
    const silent = await startServer("--heartbeat", "60s");
    const proxy = await startProxy(silent.url, "fall silent");
    try {
      const ended = await k6("writers", { ...SHORT, DRAIN: 1, READERS: 1, BASE_URL: proxy.url });
      assert.ok(proxy.faults > 0, ended.output);
      breaks(ended, "delivery_ratio");
      const { delivery_ratio, gaps } = ended.summary.metrics;
      assert.ok(delivery_ratio.values.min > 0 && delivery_ratio.values.min < 1, ended.output);
      assert.equal(gaps.values.count, 0, ended.output);
    } finally {
      await proxy.close();
      await silent.close();
    }
  });

  test("a server that is down ends the run with a sentence", async () => {
    failsWith(
      await k6("writers", { BASE_URL: "http://127.0.0.1:9" }),
      ABORTED,
      /no server answers at http:\/\/127.0.0.1:9 .*is it running there\?/,
    );
  });

  test("a wrong token ends the run with a sentence", async () => {
    failsWith(
      await k6("mixed", { BASE_URL: server.url, TOKEN: "wrong" }),
      ABORTED,
      /the server refuses the token \(401/,
    );
  });

  test("a setting that makes no sense ends the run with a sentence", async () => {
    for (const [settings, sentence] of /** @type {const} */ ([
      [{ RATE: "many" }, /RATE is \\?"many\\?"; it has to be a whole number from 1/],
      [{ DURATION: "soon" }, /DURATION is \\?"soon\\?"; it has to be a time such as 30s/],
      [{ BASE_URL: "localhost" }, /BASE_URL is \\?"localhost\\?"; it has to be the address of a server/],
    ])) {
      failsWith(await k6("readers", settings), INVALID_SCRIPT, sentence);
    }
  });

  test("limits end the run, and the flag that raises them is named", async () => {
    const strict = await startServer("--write-ops-per-second", "5", "--connections-per-user", "3");
    const BASE_URL = strict.url;
    try {
      const fast = await k6("writers", { ...SHORT, BASE_URL, OPS: 10 });
      failsWith(fast, THRESHOLDS, /start the server with --write-ops-per-second 0/);
      const many = await k6("readers", { ...SHORT, BASE_URL, USERS: 1, READERS: 6 });
      failsWith(many, THRESHOLDS, /start the server with --connections-per-user 0/);
    } finally {
      await strict.close();
    }
  });

  test("a limit that is met while users are made ends the run with a sentence", async () => {
    const strict = await startServer("--limit-by-address", "20");
    try {
      const ended = await k6("writers", { BASE_URL: strict.url, DRAWINGS: 5 });
      failsWith(
        ended,
        ABORTED,
        /a limit is met \(429 rate_limited.*start the server with --limit-by-address 0/,
      );
    } finally {
      await strict.close();
    }
  });

  test("readers that cannot all subscribe in time end the run before it is written", async () => {
    const slow = await startServer("--handshakes-per-second", "1");
    try {
      const ended = await k6("readers", { ...SHORT, BASE_URL: slow.url, READERS: 6, JOIN: 2 });
      assert.notEqual(ended.code, 0, ended.output);
      assert.match(ended.output, /\d+ of 6 readers were subscribed after 2 s|--handshakes-per-second/);
      assert.equal(ended.summary.metrics.ops_sent.values.count, 0, ended.output);
    } finally {
      await slow.close();
    }
  });
});
