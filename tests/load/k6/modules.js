// The modules of k6 as a VU sees them: those parts that the scripts use, and nothing else.
//
// Runs in the thread of the VU. A call that k6 would hang on, ignore or refuse is an error here.

/** The exception that ends a run from within: k6 interrupts the VM, which no script can catch. */
export class Aborted extends Error {}

/**
 * @param {{
 *   call: (request: object) => any, tell: (message: object) => void, hold: () => () => void,
 *   sleep: (ms: number) => void, state: { isInit: boolean, scenario?: any, id: number, options?: any },
 *   guard: (act: () => unknown) => void, parse: (text: string) => any,
 * }} vu
 */
export function makeModules({ call, tell, hold, sleep, state, guard, parse }) {
  /** @type {Map<number, WebSocket>} */
  const sockets = new Map();
  /** @type {Map<number, (answer: any) => void>} */
  const waiting = new Map();
  let lastId = 0;

  function outsideInit(/** @type {string} */ what) {
    if (state.isInit) throw new Error(`${what} in the init context is not supported`);
  }

  // --- k6/http ---

  const REQUEST_PARAMS = new Set(["headers", "tags", "timeout"]);

  function requestOf(
    /** @type {string} */ method,
    /** @type {string} */ url,
    /** @type {any} */ body,
    params = {},
  ) {
    outsideInit("making http requests");
    for (const name of Object.keys(params ?? {})) {
      if (!REQUEST_PARAMS.has(name)) throw new Error(`the stand-in does not know ${name} of HTTP requests`);
    }
    if (body !== null && body !== undefined && typeof body !== "string")
      throw new Error("a body is text here");
    return {
      method: method.toUpperCase(),
      url: String(url),
      body: body ?? null,
      headers: { ...params?.headers },
    };
  }

  function responseOf(/** @type {any} */ { status, body, headers, error, duration }) {
    return { status, body, headers, error, timings: { duration }, json: () => parse(body) };
  }

  const request = (
    /** @type {string} */ method,
    /** @type {string} */ url,
    /** @type {any} */ body,
    /** @type {any} */ params,
  ) => responseOf(call({ kind: "request", ...requestOf(method, url, body, params) }));

  function asyncRequest(
    /** @type {string} */ method,
    /** @type {string} */ url,
    /** @type {any} */ body,
    /** @type {any} */ params,
  ) {
    const id = ++lastId;
    const release = hold();
    tell({ kind: "asyncRequest", id, ...requestOf(method, url, body, params) });
    return new Promise((resolve) => {
      waiting.set(id, (answer) => {
        resolve(responseOf(answer));
        release();
      });
    });
  }

  const http = {
    request,
    asyncRequest,
    get: (/** @type {string} */ url, /** @type {any} */ params) => request("GET", url, null, params),
    post: (/** @type {string} */ url, /** @type {any} */ body, /** @type {any} */ params) =>
      request("POST", url, body, params),
  };

  // --- k6/websockets ---

  const SOCKET_PARAMS = new Set(["headers", "tags"]);
  const EVENTS = ["open", "message", "error", "close", "ping", "pong"];

  class WebSocket {
    #id = ++lastId;
    #release;
    readyState = 0;
    bufferedAmount = 0;
    binaryType = "blob";
    onopen = null;
    onmessage = null;
    onerror = null;
    onclose = null;
    onping = null;
    onpong = null;
    /** @type {Map<string, ((event: any) => void)[]>} */
    #listeners = new Map(EVENTS.map((name) => [name, []]));

    constructor(/** @type {any} */ url, /** @type {any} */ protocols, /** @type {any} */ params) {
      outsideInit("opening sockets");
      if (!/^wss?:\/\//.test(String(url)))
        throw new Error(`WebSocket requires url with scheme ws or wss, but got "${url}"`);
      for (const name of Object.keys(params ?? {})) {
        if (!SOCKET_PARAMS.has(name)) throw new Error(`unknown WebSocket's option ${name}`);
      }
      this.url = String(url);
      this.#release = hold();
      sockets.set(this.#id, this);
      const list = protocols === null || protocols === undefined ? [] : [protocols].flat();
      tell({ kind: "open", id: this.#id, url: this.url, protocols: list, headers: { ...params?.headers } });
    }

    addEventListener(/** @type {string} */ name, /** @type {(event: any) => void} */ listener) {
      const list = this.#listeners.get(name);
      if (list === undefined) throw new Error(`unknown event type: ${name}`);
      list.push(listener);
    }

    send(/** @type {any} */ data) {
      if (this.readyState !== 1) throw new Error("InvalidStateError");
      if (typeof data !== "string") throw new Error("the stand-in sends text alone");
      tell({ kind: "send", id: this.#id, data });
    }

    close(code = 1000) {
      if (this.readyState >= 2) return;
      // The channel to the writer has no reader then: k6 2.2 stands still, and the VU with it.
      if (this.readyState === 0) throw new Error("k6 hangs when a socket is closed that is not open yet");
      this.readyState = 2;
      tell({ kind: "close", id: this.#id, code });
    }

    /** @internal */
    happen(/** @type {any} */ { type, timestamp, data, binary, error, code, reason }) {
      if (type === "open") this.readyState = 1;
      if (type === "message" && this.readyState !== 1) return;
      if (binary !== undefined) throw new Error("the stand-in takes text alone");
      if (type === "close") this.readyState = 3;
      const event = { type, target: this, timestamp };
      if (type === "message") event.data = data;
      if (type === "error") event.error = error;
      if (type === "close") Object.assign(event, code === undefined ? { reason } : { code, reason });
      for (const listener of [this[`on${type}`], ...this.#listeners.get(type)]) {
        if (listener) guard(() => listener(event));
      }
      if (type !== "close") return;
      sockets.delete(this.#id);
      this.#release();
    }
  }

  // --- k6/metrics ---

  const metricClass = (/** @type {string} */ type) =>
    class {
      constructor(/** @type {string} */ name, isTime = false) {
        if (!state.isInit) throw new Error("metrics must be declared in the init context");
        if (!/^[a-zA-Z_]\w{0,127}$/.test(name)) throw new Error(`invalid metric name: '${name}'`);
        this.name = name;
        tell({ kind: "metric", name, type, isTime });
      }

      add(/** @type {any} */ value, /** @type {any} */ tags) {
        outsideInit("adding to metrics");
        const number = Number(value);
        if (Number.isNaN(number)) throw new Error(`'${value}' is an invalid value for metric '${this.name}'`);
        tell({ kind: "sample", name: this.name, value: number, tags: { ...tags } });
      }
    };

  // --- k6/execution ---

  const known = (/** @type {string} */ what, /** @type {object} */ object) =>
    new Proxy(object, {
      get(target, key) {
        if (key in target) return target[key];
        throw new Error(`the stand-in does not know exec.${what}.${String(key)}`);
      },
    });

  const execution = known("", {
    get scenario() {
      if (state.scenario === undefined)
        throw new Error("getting scenario information outside of the VU context is not supported");
      return known("scenario", state.scenario);
    },
    get vu() {
      outsideInit("getting VU information");
      return known("vu", { idInTest: state.id, idInInstance: state.id });
    },
    test: known("test", {
      abort(/** @type {any} */ message) {
        tell({ kind: "abort", message: message === undefined ? "test aborted" : `test aborted: ${message}` });
        throw new Aborted();
      },
    }),
  });

  // --- k6/timers ---

  /** @type {Map<number, { timer: any, release: () => void }>} */
  const timers = new Map();

  function start(
    /** @type {(...args: any[]) => void} */ act,
    /** @type {number} */ ms,
    /** @type {boolean} */ isRepeated,
  ) {
    outsideInit("timers");
    if (typeof act !== "function" || Number.isNaN(Number(ms)))
      throw new Error("a timer takes a function and a time");
    const id = ++lastId;
    const release = hold();
    const fire = () => {
      if (!isRepeated) timers.delete(id);
      guard(act);
      if (!isRepeated) release();
    };
    const timer = (isRepeated ? setInterval : setTimeout)(fire, Math.max(0, ms));
    timers.set(id, { timer, release });
    return id;
  }

  function stop(/** @type {number} */ id) {
    const entry = timers.get(id);
    if (entry === undefined) return;
    timers.delete(id);
    clearTimeout(entry.timer);
    entry.release();
  }

  const timersModule = {
    setTimeout: (/** @type {() => void} */ act, /** @type {number} */ ms) => start(act, ms, false),
    setInterval: (/** @type {() => void} */ act, /** @type {number} */ ms) => start(act, ms, true),
    clearTimeout: stop,
    clearInterval: stop,
  };

  const k6 = {
    sleep(/** @type {number} */ seconds) {
      outsideInit("sleep");
      // Nothing would arrive there meanwhile.
      if (sockets.size > 0) throw new Error("sleep while a socket is open");
      sleep(seconds * 1000);
    },
  };

  return {
    modules: {
      k6,
      "k6/http": { default: http, ...http },
      "k6/websockets": { WebSocket },
      "k6/metrics": Object.fromEntries(
        ["Counter", "Gauge", "Rate", "Trend"].map((name) => [name, metricClass(name.toLowerCase())]),
      ),
      "k6/execution": { default: execution },
      "k6/timers": timersModule,
    },
    /** @param {any} message */
    deliver(message) {
      if (message.kind === "socket") sockets.get(message.id)?.happen(message);
      if (message.kind === "answer") {
        waiting.get(message.id)?.(message.answer);
        waiting.delete(message.id);
      }
    },
  };
}
