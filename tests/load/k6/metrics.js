// The metrics of a run: what k6 keeps of samples, and the thresholds on it.
//
// Aggregation, the grammar of thresholds and when they are evaluated follow k6's packages `metrics` and
// `metrics/engine`.

/** The aggregations that a threshold on a metric may name. */
const AGGREGATIONS = {
  counter: ["count", "rate"],
  gauge: ["value"],
  rate: ["rate"],
  trend: ["avg", "min", "max", "med", "p"],
};

const BUILT_IN = {
  iterations: "counter",
  iteration_duration: "trend",
  dropped_iterations: "counter",
  http_reqs: "counter",
  http_req_duration: "trend",
  http_req_failed: "rate",
  ws_sessions: "counter",
  ws_msgs_received: "counter",
  ws_msgs_sent: "counter",
};

const COMPARE = {
  ">=": (/** @type {number} */ a, /** @type {number} */ b) => a >= b,
  "<=": (/** @type {number} */ a, /** @type {number} */ b) => a <= b,
  "===": (/** @type {number} */ a, /** @type {number} */ b) => a === b,
  "==": (/** @type {number} */ a, /** @type {number} */ b) => a === b,
  "!=": (/** @type {number} */ a, /** @type {number} */ b) => a !== b,
  ">": (/** @type {number} */ a, /** @type {number} */ b) => a > b,
  "<": (/** @type {number} */ a, /** @type {number} */ b) => a < b,
};

/** An option that k6 would refuse: exit code 104. */
export class InvalidConfig extends Error {}

/** @typedef {{ source: string, key: string, compare: (a: number, b: number) => boolean, value: number, abort: boolean, ok: boolean }} Threshold */

class Metric {
  /** @type {number[]} */
  values = [];
  sum = 0;
  last = 0;
  trues = 0;
  /** @type {Threshold[]} */
  thresholds = [];

  /** @param {string} name @param {string} type @param {boolean} isTime @param {Record<string, string>} [tags] */
  constructor(name, type, isTime, tags) {
    Object.assign(this, { name, type, isTime, tags });
    this.name = name;
    this.type = type;
    this.isTime = isTime;
    this.tags = tags;
  }

  get isEmpty() {
    return this.values.length === 0;
  }

  /** @param {number} value */
  add(value) {
    this.values.push(value);
    this.sum += value;
    this.last = value;
    if (value !== 0) this.trues += 1;
  }

  /** The value of an aggregation; undefined where k6 has none yet. @param {string} key @param {number} seconds */
  value(key, seconds) {
    const { values } = this;
    const percentile = /^p\(([\d.]+)\)$/.exec(key);
    if (this.type === "counter") {
      if (key === "count") return this.sum;
      return seconds > 0 ? this.sum / seconds : undefined;
    }
    if (this.type === "rate") {
      const all = { passes: this.trues, fails: values.length - this.trues };
      if (key !== "rate") return all[key];
      return values.length > 0 ? this.trues / values.length : undefined;
    }
    if (this.type === "gauge") {
      if (key === "value") return this.last;
      return Math[key](...values);
    }
    if (key === "count") return values.length;
    if (values.length === 0) return 0;
    if (key === "avg") return this.sum / values.length;
    const sorted = Float64Array.from(values).sort();
    if (key === "min") return sorted[0];
    if (key === "max") return sorted[sorted.length - 1];
    // Between two values lies a straight line.
    const at = (key === "med" ? 0.5 : Number(percentile?.[1]) / 100) * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
    return low + (high - low) * (at - Math.floor(at));
  }
}

export class Metrics {
  /** @type {Map<string, Metric>} */
  #metrics = new Map();

  constructor() {
    for (const [name, type] of Object.entries(BUILT_IN)) this.register(name, type, false);
  }

  /** @param {string} name @param {string} type @param {boolean} isTime */
  register(name, type, isTime) {
    const known = this.#metrics.get(name);
    if (known === undefined) this.#metrics.set(name, new Metric(name, type, isTime));
    else if (known.type !== type)
      throw new InvalidConfig(`metric '${name}' already exists but with type ${known.type}`);
  }

  /** @param {string} name @param {number} value @param {Record<string, string>} tags */
  add(name, value, tags = {}) {
    for (const metric of this.#metrics.values()) {
      const isIt = metric.name === name || metric.name.startsWith(`${name}{`);
      if (isIt && Object.entries(metric.tags ?? {}).every(([key, wanted]) => String(tags[key]) === wanted)) {
        metric.add(value);
      }
    }
  }

  /** @param {Record<string, any[]>} thresholds */
  setThresholds(thresholds) {
    for (const [name, list] of Object.entries(thresholds)) {
      const [, parent, inside] = /^([^{]+)(?:\{(.*)\})?$/.exec(name) ?? [];
      const metric = this.#metrics.get(parent);
      if (metric === undefined)
        throw new InvalidConfig(`invalid threshold defined on ${name}; no metric name "${parent}" found`);
      let target = metric;
      if (inside !== undefined) {
        const tags = Object.fromEntries(
          inside.split(",").map((pair) => pair.split(":").map((part) => part.trim())),
        );
        target = new Metric(name, metric.type, metric.isTime, tags);
        this.#metrics.set(name, target);
      }
      target.thresholds = list.map((entry) => parse(entry, target));
    }
  }

  /** The metrics whose thresholds do not hold, and whether that ends the run. @param {number} seconds @param {boolean} isOver */
  evaluate(seconds, isOver) {
    const breached = [];
    let abort = false;
    for (const metric of this.#metrics.values()) {
      if (metric.thresholds.length === 0 || (metric.isEmpty && !isOver)) continue;
      for (const threshold of metric.thresholds) {
        const value = metric.value(threshold.key, seconds);
        threshold.ok = value === undefined || threshold.compare(value, threshold.value);
        if (!threshold.ok && threshold.abort) abort = true;
      }
      if (metric.thresholds.some(({ ok }) => !ok)) breached.push(metric.name);
    }
    return { breached: breached.sort(), abort };
  }

  /** As `handleSummary` gets them: those with samples or thresholds. @param {string[]} trendStats @param {number} seconds */
  summary(trendStats, seconds) {
    const keys = {
      counter: ["count", "rate"],
      gauge: ["value", "min", "max"],
      rate: ["rate", "passes", "fails"],
      trend: trendStats,
    };
    /** @type {Record<string, any>} */
    const all = {};
    for (const metric of this.#metrics.values()) {
      const isParent = [...this.#metrics.keys()].some((name) => name.startsWith(`${metric.name}{`));
      if (metric.isEmpty && metric.thresholds.length === 0 && !isParent) continue;
      const values = Object.fromEntries(
        keys[metric.type].map((key) => [key, metric.value(key, seconds) ?? 0]),
      );
      all[metric.name] = { type: metric.type, contains: metric.isTime ? "time" : "default", values };
      if (metric.thresholds.length > 0) {
        all[metric.name].thresholds = Object.fromEntries(
          metric.thresholds.map(({ source, ok }) => [source, { ok }]),
        );
      }
    }
    return all;
  }
}

/** @param {string | { threshold: string, abortOnFail?: boolean }} entry @param {Metric} metric @returns {Threshold} */
function parse(entry, metric) {
  const {
    threshold: source,
    abortOnFail = false,
    ...unknown
  } = typeof entry === "string" ? { threshold: entry } : entry;
  if (Object.keys(unknown).length > 0)
    throw new InvalidConfig(`the stand-in does not know ${Object.keys(unknown)} of thresholds`);
  const parts = /^\s*([a-z]+)(\([\d.]+\))?\s*(>=|<=|===|==|!=|>|<)\s*(\d+(?:\.\d+)?)\s*$/.exec(source);
  if (parts === null) throw new InvalidConfig(`failed parsing threshold expression "${source}"`);
  const [, method, argument = "", operator, value] = parts;
  if (!AGGREGATIONS[metric.type].includes(method)) {
    throw new InvalidConfig(
      `invalid threshold "${source}" applied on metric ${metric.name}; unsupported aggregation method`,
    );
  }
  return {
    source,
    key: method + argument,
    compare: COMPARE[operator],
    value: Number(value),
    abort: abortOnFail,
    ok: true,
  };
}
