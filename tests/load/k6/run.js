// A stand-in for `k6 run`, so that the scripts of loadtest/k6 can be executed where k6 cannot be installed by npm.
//
//   node --experimental-vm-modules tests/load/k6/run.js -e NAME=value… script.js
//
// It is not k6. It has the modules, executors, options and thresholds that these scripts use, made after the sources of
// k6 2.2, and refuses everything else. It keeps what matters to whether a script is right: a VU is a realm and a thread
// of its own, in which the script is evaluated anew; an HTTP request stops all that a VU does, and `sleep` too; an
// iteration lasts as long as a timer, a socket or a request does; setup data travel as JSON; thresholds are evaluated
// every two seconds and at the end; exit codes are those of k6. It says nothing about how much load k6 can make.

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MessageChannel, Worker } from "node:worker_threads";
import { checkScenario, execute, milliseconds, plannedVus } from "./executors.js";
import { InvalidConfig, Metrics } from "./metrics.js";
import { Network } from "./network.js";

/** As in k6's errext/exitcodes. */
const EXIT = {
  thresholds: 99,
  setupTimeout: 100,
  invalidConfig: 104,
  scriptException: 107,
  scriptAborted: 108,
};
const THRESHOLDS_EVERY = 2000;
const OPTIONS = ["scenarios", "thresholds", "setupTimeout", "summaryTrendStats"];
const TREND_STATS = ["avg", "min", "med", "max", "p(90)", "p(95)"];

/** Why a run ends before its time. */
class Ended extends Error {
  /** @param {string} message @param {number} exitCode */
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

const log = (/** @type {string} */ level, /** @type {string} */ message) =>
  process.stderr.write(`level=${level} msg=${JSON.stringify(message)}\n`);

class Vu {
  /** @param {{ id: number, script: string, env: object, metrics: Metrics, end: (reason: Ended) => void }} wanted */
  constructor({ id, script, env, metrics, end }) {
    const { port1, port2 } = new MessageChannel();
    const flag = new SharedArrayBuffer(4);
    this.answers = port1;
    this.flag = new Int32Array(flag);
    this.end = end;
    this.metrics = metrics;
    this.iterations = 0;
    /** The return value of setup, as JSON. @type {string | undefined} */
    this.data = undefined;
    this.worker = new Worker(fileURLToPath(new URL("vu.js", import.meta.url)), {
      workerData: { id, script, env, answers: port2, flag },
      transferList: [port2],
    });
    const sample = (/** @type {string} */ name, /** @type {number} */ value) => metrics.add(name, value);
    this.network = new Network((message) => this.worker.postMessage(message), sample);
    /** @type {Promise<{ functions: string[], options: any }>} */
    this.ready = new Promise((resolve, reject) => {
      this.onReady = resolve;
      this.onFailed = reject;
    });
    this.onDone = (/** @type {any} */ _message) => {};
    this.worker.on("message", (message) => this.take(message));
    this.worker.on("error", (error) => this.onFailed(error));
  }

  /** @param {any} message */
  async take(message) {
    switch (message.kind) {
      case "ready":
        return this.onReady({ functions: message.functions, options: JSON.parse(message.options) });
      case "initFailed":
        return this.onFailed(new Ended(message.stack, EXIT.scriptException));
      case "metric":
        try {
          return this.metrics.register(message.name, message.type, message.isTime);
        } catch (error) {
          return this.onFailed(error);
        }
      case "sample":
        return this.metrics.add(message.name, message.value, message.tags);
      case "log":
        return log(message.level, message.message);
      case "exception":
        return log("error", message.stack);
      case "abort":
        return this.end(new Ended(message.message, EXIT.scriptAborted));
      case "done":
        return this.onDone(message);
      case "request":
        this.answers.postMessage(await this.network.request(message));
        Atomics.store(this.flag, 0, 1);
        return Atomics.notify(this.flag, 0);
      case "asyncRequest":
        return this.worker.postMessage({
          kind: "answer",
          id: message.id,
          answer: await this.network.request(message),
        });
      case "open":
        return this.network.open(message.id, message);
      case "send":
        return this.network.send(message.id, message.data);
      case "close":
        return this.network.closeSocket(message.id, message.code);
    }
  }

  /** Calls an exported function. @param {string} name @param {object} more @returns {Promise<any>} */
  run(name, more) {
    return new Promise((resolve) => {
      this.onDone = resolve;
      this.worker.postMessage({ kind: "run", name, ...more });
    });
  }

  /** One iteration. An exception ends it, and not the run. @param {string} name @param {object} scenario */
  async iterate(name, scenario) {
    const begin = performance.now();
    const { stack } = await this.run(name, { data: this.data, scenario, iteration: this.iterations++ });
    if (stack !== undefined) log("error", stack);
    this.metrics.add("iterations", 1, { scenario: scenario.name });
    this.metrics.add("iteration_duration", performance.now() - begin, { scenario: scenario.name });
  }

  async close() {
    this.network.close();
    this.answers.close();
    await this.worker.terminate();
  }
}

/** @param {string} script @param {Record<string, string>} env */
async function runScript(script, env) {
  const metrics = new Metrics();
  const aborted = new AbortController();
  /** @type {Ended | undefined} */
  let reason;
  let onEnd = (/** @type {Ended} */ _reason) => {};
  const ended = new Promise((_, reject) => {
    onEnd = reject;
  });
  ended.catch(() => {});
  const end = (/** @type {Ended} */ why) => {
    reason ??= why;
    aborted.abort();
    onEnd(reason);
  };
  /** @type {Vu[]} */
  const vus = [];
  let lastId = 0;
  const addVu = async (id = ++lastId) => {
    const vu = new Vu({ id, script, env, metrics, end });
    vus.push(vu);
    await vu.ready;
    return vu;
  };

  try {
    // The first VU tells the options; setup runs in one that has the number 0.
    const first = await addVu(0);
    const { functions, options } = await first.ready;
    for (const key of Object.keys(options)) {
      if (!OPTIONS.includes(key)) throw new InvalidConfig(`the stand-in does not know the option ${key}`);
    }
    metrics.setThresholds(options.thresholds ?? {});
    /** @type {[string, any, Vu[]][]} */
    const scenarios = [];
    for (const [name, scenario] of Object.entries(options.scenarios ?? {})) {
      checkScenario(name, scenario);
      if (!functions.includes(scenario.exec ?? "default"))
        throw new InvalidConfig(`executor ${name}: function not found`);
      scenarios.push([
        name,
        scenario,
        await Promise.all(Array.from({ length: plannedVus(scenario) }, () => addVu())),
      ]);
    }

    const begin = performance.now();
    const elapsed = () => (performance.now() - begin) / 1000;
    const ticker = setInterval(() => {
      const { breached, abort } = metrics.evaluate(elapsed(), false);
      if (!abort) return;
      const names = breached.join(", ");
      end(
        new Ended(
          `thresholds on metrics '${names}' were crossed; at least one has abortOnFail enabled, stopping test prematurely`,
          EXIT.thresholds,
        ),
      );
    }, THRESHOLDS_EVERY);

    /** @type {string | undefined} */
    let data;
    try {
      if (functions.includes("setup")) {
        const timeout = milliseconds(options.setupTimeout, 60_000);
        const timer = setTimeout(
          () => end(new Ended("setup() execution timed out", EXIT.setupTimeout)),
          timeout,
        );
        const setup = Promise.race([first.run("setup", {}), ended]).finally(() => clearTimeout(timer));
        const { stack, result } = await setup;
        if (stack !== undefined) throw new Ended(stack, EXIT.scriptException);
        data = result;
      }
      const hand = (/** @type {Vu} */ vu) => Object.assign(vu, { data });
      vus.forEach(hand);
      const running = scenarios.map(([name, scenario, own]) =>
        execute(name, scenario, {
          vus: own,
          addVu: async () => hand(await addVu()),
          drop: () => metrics.add("dropped_iterations", 1, { scenario: name }),
          signal: aborted.signal,
        }),
      );
      await Promise.race([Promise.all(running), ended]);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      reason = error;
    }
    clearInterval(ticker);
    // Ends what still waits for a time that is over.
    aborted.abort();
    const seconds = elapsed();
    const { breached } = metrics.evaluate(seconds, true);
    if (breached.length > 0) {
      reason ??= new Ended(
        `thresholds on metrics '${breached.join(", ")}' have been crossed`,
        EXIT.thresholds,
      );
    }
    const stats = options.summaryTrendStats ?? TREND_STATS;
    await Promise.all(vus.splice(0).map((vu) => vu.close()));
    if (functions.includes("handleSummary"))
      await handleSummary(await addVu(0), metrics, stats, seconds, data);
  } finally {
    await Promise.all(vus.map((vu) => vu.close()));
  }
  return reason;
}

/** @param {Vu} vu @param {Metrics} metrics @param {string[]} stats @param {number} seconds @param {string | undefined} data */
async function handleSummary(vu, metrics, stats, seconds, data) {
  const summary = {
    root_group: { name: "", path: "", id: "d41d8cd98f00b204e9800998ecf8427e", groups: [], checks: [] },
    options: { summaryTrendStats: stats, summaryTimeUnit: "", noColor: false },
    state: { isStdOutTTY: false, isStdErrTTY: false, testRunDurationMs: seconds * 1000 },
    metrics: metrics.summary(stats, seconds),
    setup_data: data === undefined ? undefined : JSON.parse(data),
  };
  const { stack, result } = await vu.run("handleSummary", { data: JSON.stringify(summary) });
  if (stack !== undefined) return log("error", stack);
  for (const [path, text] of Object.entries(JSON.parse(result))) {
    if (path === "stdout" || path === "stderr") process[path].write(text);
    else writeFileSync(path, text);
  }
}

const { values, positionals } = parseArgs({
  options: { env: { type: "string", short: "e", multiple: true, default: [] } },
  allowPositionals: true,
});
const env = Object.fromEntries(values.env.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
try {
  const script = resolve(positionals[0] ?? "");
  readFileSync(script);
  const reason = await runScript(script, env);
  if (reason !== undefined) {
    log("error", reason.message);
    process.exitCode = reason.exitCode;
  }
} catch (error) {
  if (!(error instanceof Ended || error instanceof InvalidConfig)) throw error;
  log("error", error.message);
  process.exitCode = error instanceof Ended ? error.exitCode : EXIT.invalidConfig;
}
