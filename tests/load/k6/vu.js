// A VU: a thread with a realm of its own, in which the script is evaluated anew. The realm has what k6 gives to scripts,
// and nothing of Node.js.

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { inspect } from "node:util";
import vm from "node:vm";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { Aborted, makeModules } from "./modules.js";

const { script, env, answers, flag: shared } = workerData;
const flag = new Int32Array(shared);
const port = /** @type {import("node:worker_threads").MessagePort} */ (parentPort);
const state = { isInit: true, id: workerData.id, scenario: undefined, options: undefined };

/** The number of things that keep the iteration going: timers, sockets, and requests. */
let held = 0;
let onIdle = () => {};

function hold() {
  let isHeld = true;
  held += 1;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    held -= 1;
    setImmediate(() => held === 0 && onIdle());
  };
}

/** Asks the main thread, and stands still until it answers. @param {object} request */
function call(request) {
  Atomics.store(flag, 0, 0);
  port.postMessage({ ...request, isCall: true });
  Atomics.wait(flag, 0, 0);
  return receiveMessageOnPort(answers)?.message;
}

const sleeping = new Int32Array(new SharedArrayBuffer(4));
const context = vm.createContext({});
const inside = (/** @type {string} */ code) => vm.runInContext(code, context);
const parse = inside("(text) => JSON.parse(text)");

/** @param {any} error */
function fail(error) {
  if (error instanceof Aborted) return;
  port.postMessage({ kind: "exception", stack: String(error?.stack ?? error) });
}

const { modules, deliver } = makeModules({
  call,
  tell: (message) => port.postMessage(message),
  hold,
  sleep: (ms) => Atomics.wait(sleeping, 0, 0, ms),
  state,
  parse,
  guard(act) {
    try {
      act();
    } catch (error) {
      fail(error);
    }
  },
});
process.on("unhandledRejection", fail);

const log =
  (/** @type {string} */ level) =>
  (/** @type {unknown[]} */ ...parts) => {
    const message = parts.map((part) => (typeof part === "string" ? part : inspect(part))).join(" ");
    port.postMessage({ kind: "log", level, message });
  };
Object.assign(context, {
  __ENV: parse(JSON.stringify(env)),
  __VU: state.id,
  __ITER: 0,
  console: { log: log("info"), info: log("info"), warn: log("warning"), error: log("error") },
  open(/** @type {string} */ path) {
    if (!state.isInit) throw new Error('The "open()" function is only available in the init stage');
    return readFileSync(resolve(dirname(script), path), "utf8");
  },
});

/** @type {Map<string, vm.Module>} */
const linked = new Map();

function builtIn(/** @type {string} */ name) {
  const exported = modules[name];
  if (exported === undefined) throw new Error(`the stand-in does not have the module ${name}`);
  return new vm.SyntheticModule(
    Object.keys(exported),
    function fill() {
      for (const [key, value] of Object.entries(exported)) this.setExport(key, value);
    },
    { context, identifier: name },
  );
}

function load(/** @type {string} */ specifier, /** @type {string} */ from) {
  const isFile = specifier.startsWith(".") || specifier.startsWith("/");
  const id = isFile ? resolve(dirname(from), specifier) : specifier;
  const known = linked.get(id);
  if (known !== undefined) return known;
  const made = isFile
    ? new vm.SourceTextModule(readFileSync(id, "utf8"), { context, identifier: id })
    : builtIn(id);
  linked.set(id, made);
  return made;
}

/** @type {any} */
let exported;
try {
  const main = load(script, script);
  await main.link((specifier, from) => load(specifier, from.identifier));
  await main.evaluate();
  exported = main.namespace;
  state.isInit = false;
  const functions = Object.keys(exported).filter((name) => typeof exported[name] === "function");
  port.postMessage({ kind: "ready", functions, options: JSON.stringify(exported.options ?? {}) });
} catch (error) {
  port.postMessage({ kind: "initFailed", stack: String(/** @type {any} */ (error)?.stack ?? error) });
}

/** Runs a function until nothing is left of it to wait for. @param {any} order */
async function run({ name, data, scenario, iteration }) {
  state.scenario = scenario;
  context.__ITER = iteration ?? 0;
  const idle = new Promise((resolve) => {
    onIdle = () => resolve(undefined);
  });
  const release = hold();
  /** @type {any} */
  let error;
  let result;
  try {
    result = exported[name](data === undefined ? undefined : parse(data));
    if (typeof result?.then === "function") {
      result.then(
        (/** @type {any} */ value) => {
          result = value;
        },
        (/** @type {any} */ reason) => {
          error = reason;
        },
      );
    }
  } catch (thrown) {
    error = thrown;
  }
  release();
  await idle;
  if (error !== undefined && error instanceof Aborted) return;
  const stack = error === undefined ? undefined : String(error?.stack ?? error);
  port.postMessage({ kind: "done", stack, result: JSON.stringify(result) });
}

port.on("message", (message) => {
  if (message.kind === "run") run(message);
  else deliver(message);
});
