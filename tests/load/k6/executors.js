// When iterations begin: the two executors that the scripts use.

import { InvalidConfig } from "./metrics.js";

const COMMON = ["executor", "exec", "startTime", "gracefulStop"];
const KNOWN = {
  "per-vu-iterations": [...COMMON, "vus", "iterations", "maxDuration"],
  "constant-arrival-rate": [...COMMON, "rate", "timeUnit", "duration", "preAllocatedVUs", "maxVUs"],
};

/** Milliseconds of a time of k6. @param {string | undefined} text @param {number} otherwise */
export function milliseconds(text, otherwise) {
  if (text === undefined) return otherwise;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) throw new InvalidConfig(`invalid duration "${text}"`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2]];
}

/** The number of VUs that are there before the run begins. @param {any} scenario */
export const plannedVus = (scenario) => scenario.vus ?? scenario.preAllocatedVUs;

/** @param {string} name @param {any} scenario */
export function checkScenario(name, scenario) {
  const known = KNOWN[scenario.executor];
  if (known === undefined)
    throw new InvalidConfig(`the stand-in does not have the executor ${scenario.executor}`);
  for (const key of Object.keys(scenario)) {
    if (!known.includes(key)) throw new InvalidConfig(`scenario ${name}: unknown field "${key}"`);
  }
  if (!(plannedVus(scenario) > 0))
    throw new InvalidConfig(`scenario ${name}: the number of VUs must be more than 0`);
}

/** Waits, unless the run is aborted before. @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(undefined);
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

/**
 * Runs a scenario to its end.
 * @param {string} name @param {any} scenario
 * @param {{ vus: any[], addVu: () => Promise<any>, drop: () => void, signal: AbortSignal }} run
 */
export async function execute(name, scenario, { vus, addVu, drop, signal }) {
  await pause(milliseconds(scenario.startTime, 0), signal);
  const startTime = Date.now();
  let begun = 0;
  const iterate = (/** @type {any} */ vu) => {
    const iterationInTest = begun++;
    const info = {
      name,
      executor: scenario.executor,
      startTime,
      iterationInTest,
      iterationInInstance: iterationInTest,
    };
    return vu.iterate(scenario.exec ?? "default", info);
  };
  const stopped = (/** @type {Promise<any>[]} */ running, /** @type {number} */ ms) =>
    Promise.race([Promise.all(running), pause(ms, signal)]);
  const grace = milliseconds(scenario.gracefulStop, 30_000);

  if (scenario.executor === "per-vu-iterations") {
    const running = vus.map(async (vu) => {
      for (let nth = 0; nth < (scenario.iterations ?? 1) && !signal.aborted; nth++) await iterate(vu);
    });
    await stopped(running, milliseconds(scenario.maxDuration, 600_000) + grace);
    return;
  }

  const every = milliseconds(scenario.timeUnit, 1000) / scenario.rate;
  const duration = milliseconds(scenario.duration, 0);
  const free = [...vus];
  const running = new Set();
  let all = vus.length;
  for (let nth = 0; nth * every <= duration && !signal.aborted; nth++) {
    const wait = startTime + nth * every - Date.now();
    if (wait > 0) await pause(wait, signal);
    const vu = free.pop();
    if (vu === undefined) {
      // k6 gives this one up, and makes another VU meanwhile.
      drop();
      if (all < (scenario.maxVUs ?? all)) {
        all += 1;
        addVu().then((made) => free.push(made));
      }
      continue;
    }
    const iteration = iterate(vu).then(() => {
      running.delete(iteration);
      free.push(vu);
    });
    running.add(iteration);
  }
  await stopped([...running], grace);
}
