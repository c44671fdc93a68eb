// Requests to the server: typed by its OpenAPI document, with a fresh URL and token for each attempt.
//
// Retries nothing: who asks decides that. Every failure is a `RevcastError`, but for the answers of `rest`: there, one that is
// no success is returned like any other.

import createFetchClient from "openapi-fetch";
import { successOf } from "./answer.js";
import { RevcastError } from "./errors.js";
import type { components, paths } from "./generated/openapi.js";
import { REQUEST_TIMEOUT } from "./limits.js";
import { Watch } from "./timer.js";

/** The shapes of the REST interface, generated from its OpenAPI document. */
export type Schemas = components["schemas"];

export interface HttpOptions {
  /** Where the server is, such as `https://draw.example.com`. A function is asked for each attempt. */
  readonly url: string | (() => string | Promise<string>);
  /** A bearer token. Asked for each attempt, so keep one until it is about to expire. */
  readonly getToken: () => string | Promise<string>;
  readonly fetch?: typeof globalThis.fetch;
  /**
   * What the deployment is called, in place of its URL, where ops and canvases are kept on the device: so they are found
   * whatever the URL is the next time. What was kept under the `url` is taken over. It is the application that vouches for
   * it: what was drawn under a name is sent to whichever server has it.
   */
  readonly deployment?: string;
  /**
   * Under which other URLs, or names, the same drawings were served before. Ops that are left under them are taken over and
   * sent to this server; no others ever are.
   */
  readonly previousUrls?: readonly string[];
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** Lets the request outlive the page. Its body may not be over 64 KiB then. */
  readonly keepalive?: boolean;
  /** Milliseconds of silence, before the answer begins and while it comes; `REQUEST_TIMEOUT` by default. */
  readonly timeout?: number;
}

/**
 * The typed client: `rest.GET("/v1/drawings", …)` resolves with `{data, response}`, or with `{error, response}` where the
 * server has answered otherwise than 2xx; `error` is the problem body. Only what has no answer is thrown, as a
 * `RevcastError`. For those who would rather catch everything there is `unwrap`.
 */
export type Rest = ReturnType<typeof createFetchClient<paths>>;

export class Http {
  readonly #options: HttpOptions;
  readonly #fetch: typeof globalThis.fetch;
  /** Those of the last attempt, for `beacon`. */
  #lastUrl: string | undefined;
  #lastToken: string | undefined;
  /** Any endpoint, by its path. */
  readonly rest: Rest;

  constructor(options: HttpOptions) {
    this.#options = options;
    // A browser's fetch insists on being called without a receiver.
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.rest = createFetchClient<paths>({
      baseUrl: "http://revcast.invalid",
      fetch: (request) => this.#send(request),
    });
  }

  /** What names the deployment on the device. */
  get name(): string | null {
    return this.#options.deployment ?? this.#urlName;
  }

  /** What it was called before, as far as the application says so. */
  get formerNames(): readonly (string | null)[] {
    const { deployment, previousUrls = [] } = this.#options;
    const names = new Set<string | null>(previousUrls.map(withoutSlash));
    if (deployment !== undefined) names.add(this.#urlName);
    names.delete(this.name);
    return [...names];
  }

  /** The URL, where that is one and the same for good; one that is asked for may be of any of its nodes. */
  get #urlName(): string | null {
    const { url } = this.#options;
    return typeof url === "string" ? withoutSlash(url) : null;
  }

  /**
   * The base URL, without a slash at its end.
   *
   * @throws {RevcastError} `CONNECTION_FAILED` when there is none to be had.
   */
  async url(): Promise<string> {
    const { url } = this.#options;
    try {
      this.#lastUrl = withoutSlash(typeof url === "string" ? url : await inTime(url));
      return this.#lastUrl;
    } catch (cause) {
      throw new RevcastError("CONNECTION_FAILED", "no URL could be got", { retryable: true, cause });
    }
  }

  /** @throws {RevcastError} `AUTH_FAILED` when there is none to be had. */
  async token(): Promise<string> {
    try {
      // An issuer that never answers must not hold up everything for ever.
      const token: unknown = await inTime(this.#options.getToken);
      if (typeof token !== "string") throw new TypeError("getToken gave no string");
      this.#lastToken = token;
      return token;
    } catch (cause) {
      throw new RevcastError("AUTH_FAILED", "no token could be got", { retryable: true, cause });
    }
  }

  /**
   * Sends a request to a path of the server and returns its answer, whose body may still be coming.
   *
   * @throws {RevcastError} when there is no answer, or one that is neither 2xx nor 304.
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return successOf(await this.#ask(path, init));
  }

  /** The answer, whatever it is. */
  async #ask(path: string, init: RequestInit): Promise<Response> {
    const [url, token] = await unlessAborted(Promise.all([this.url(), this.token()]), init.signal);
    return this.#fetchFrom(url, token, path, init);
  }

  /** Starts the request in the task of the caller. Returns the answer, whatever it is. */
  async #fetchFrom(url: string, token: string, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("Authorization", `Bearer ${token}`);
    try {
      return await this.#fetch(`${url}${path}`, { ...init, headers });
    } catch (cause) {
      throw new RevcastError("CONNECTION_FAILED", "the server could not be reached", {
        retryable: true,
        cause,
      });
    }
  }

  /** Sends JSON, if there is a body, and reads JSON. `undefined` for an answer without a body. */
  async json<T>(method: string, path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
    const timeout = options.timeout ?? REQUEST_TIMEOUT;
    // What outlives the page has nobody who watches it.
    const silence = options.keepalive ? undefined : new Silence(timeout, options.signal);
    const limit = silence?.signal ?? AbortSignal.timeout(timeout);
    const signal = options.signal === undefined ? limit : AbortSignal.any([options.signal, limit]);
    const init: RequestInit = { method, signal, keepalive: options.keepalive ?? false };
    if (body !== undefined) {
      init.headers = { "Content-Type": "application/json" };
      init.body = typeof body === "string" ? body : JSON.stringify(body);
    }
    try {
      return await readJson(await this.fetch(path, init), () => silence?.heard());
    } finally {
      silence?.end();
    }
  }

  /**
   * Posts JSON in the very task of the caller, with the URL and the token of the last attempt: a page that is being
   * unloaded gets no further task. The request outlives the page; its body may not be over 64 KiB.
   */
  async beacon<T>(path: string, body: string): Promise<T> {
    const { url: given } = this.#options;
    const url = typeof given === "string" ? withoutSlash(given) : this.#lastUrl;
    const token = this.#lastToken;
    if (url === undefined || token === undefined) {
      return this.json("POST", path, body, { keepalive: true });
    }
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
    const headers = { "Content-Type": "application/json" };
    const init = { method: "POST", signal, keepalive: true, headers, body };
    return readJson(await successOf(await this.#fetchFrom(url, token, path, init)));
  }

  /** A ticket, which opens a socket within the next minute. */
  async ticket(signal?: AbortSignal): Promise<string> {
    const { ticket } = await this.json<Schemas["Ticket"]>(
      "POST",
      "/v1/tickets",
      undefined,
      signal ? { signal } : {},
    );
    return ticket;
  }

  async #send(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    // Not `request.body`, which Firefox does not have.
    const body = await request.arrayBuffer();
    return this.#ask(`${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      body: body.byteLength === 0 ? null : body,
      signal: request.signal,
    });
  }
}

/** The path of a drawing, or of something in it. */
export function drawingPath(drawingId: string, rest = ""): string {
  return `/v1/drawings/${encodeURIComponent(drawingId)}${rest}`;
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal === null || signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      const { reason: cause } = signal;
      reject(new RevcastError("CONNECTION_FAILED", "the request was given up", { retryable: true, cause }));
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** What is asked of the application may never come: that is a failure like others. */
async function inTime<T>(ask: () => T | Promise<T>): Promise<T> {
  return unlessAborted(Promise.resolve(ask()), AbortSignal.timeout(REQUEST_TIMEOUT));
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}

/** Gives a request up when nothing has come for some time. */
class Silence {
  readonly #timeout: number;
  readonly #abort = new AbortController();
  readonly #watch = new Watch();
  readonly #stop = () => this.#watch.stop();
  #detach = () => {};

  /** Watches until `end`, or until the request is given up by whoever made it. */
  constructor(timeout: number, signal: AbortSignal | undefined) {
    this.#timeout = timeout;
    if (signal?.aborted) return;
    signal?.addEventListener("abort", this.#stop, { once: true });
    this.#detach = () => signal?.removeEventListener("abort", this.#stop);
    this.#watch.start(timeout, () => this.#give());
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  heard(): void {
    this.#watch.heard();
  }

  end(): void {
    this.#stop();
    this.#detach();
  }

  #give(): void {
    const reason = new Error(`nothing came for ${this.#timeout} ms`);
    reason.name = "TimeoutError";
    this.#abort.abort(reason);
  }
}

async function readJson<T>(response: Response, heard: () => void = () => {}): Promise<T> {
  if (response.status === 204) return undefined as T;
  try {
    return JSON.parse(await readText(response, heard)) as T;
  } catch (cause) {
    throw new RevcastError("CONNECTION_FAILED", "the answer broke off", { retryable: true, cause });
  }
}

/** The body as text; `heard` is called for each part of it, where the platform shows parts. */
async function readText(response: Response, heard: () => void): Promise<string> {
  heard();
  const reader = typeof TextDecoder === "undefined" ? undefined : response.body?.getReader?.();
  if (reader === undefined) return response.text();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    heard();
    text += decoder.decode(value, { stream: true });
  }
}
