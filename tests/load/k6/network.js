// HTTP and sockets of all VUs. They live in the main thread, so that a VU which waits for an answer stands still
// altogether, while its frames arrive and get their time, as in k6.

import http from "node:http";
import { WebSocket } from "ws";

/** The names that k6 has for the errors of a connection. */
const ERRORS = { ECONNREFUSED: "dial: connection refused", ECONNRESET: "read: connection reset by peer" };
const REQUEST_TIMEOUT = 60_000;

/** The connections of one VU. */
export class Network {
  #agent = new http.Agent({ keepAlive: true });
  /** @type {Map<number, WebSocket>} */
  #sockets = new Map();

  /** @param {(message: object) => void} tell @param {(name: string, value: number, tags?: object) => void} sample */
  constructor(tell, sample) {
    this.tell = tell;
    this.sample = sample;
  }

  /**
   * @param {{ method: string, url: string, body: string | null, headers: Record<string, string> }} request
   * @returns {Promise<{ status: number, body: string | null, headers: object, error: string, duration: number }>}
   */
  request({ method, url, body, headers }) {
    const begin = performance.now();
    return new Promise((resolve) => {
      const done = (/** @type {object} */ part) => {
        const answer = {
          status: 0,
          body: null,
          headers: {},
          error: "",
          duration: performance.now() - begin,
          ...part,
        };
        this.sample("http_reqs", 1);
        this.sample("http_req_duration", answer.duration);
        this.sample("http_req_failed", answer.status >= 200 && answer.status < 400 ? 0 : 1);
        resolve(answer);
      };
      const request = http.request(
        url,
        { method, headers, agent: this.#agent, timeout: REQUEST_TIMEOUT },
        (response) => {
          const chunks = [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on("error", (error) => done({ error: error.message }));
          response.on("end", () => {
            done({
              status: response.statusCode,
              body: Buffer.concat(chunks).toString(),
              headers: response.headers,
            });
          });
        },
      );
      request.on("timeout", () => request.destroy(new Error("request timeout")));
      request.on("error", (/** @type {NodeJS.ErrnoException} */ error) =>
        done({ error: ERRORS[error.code] ?? error.message }),
      );
      request.end(body ?? undefined);
    });
  }

  /** @param {number} id @param {{ url: string, protocols: string[], headers: Record<string, string> }} wanted */
  open(id, { url, protocols, headers }) {
    // gorilla/websocket, as k6 uses it, offers no compression unless it is told to.
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate: false });
    this.#sockets.set(id, socket);
    const tell = (/** @type {string} */ type, /** @type {object} */ more = {}) =>
      this.tell({ kind: "socket", id, type, timestamp: performance.timeOrigin + performance.now(), ...more });
    let code = 0;
    this.sample("ws_sessions", 1);
    socket.on("open", () => tell("open"));
    socket.on("message", (data, isBinary) => {
      this.sample("ws_msgs_received", 1);
      tell(
        "message",
        isBinary ? { binary: new Uint8Array(/** @type {Buffer} */ (data)) } : { data: data.toString() },
      );
    });
    socket.on("ping", () => tell("ping"));
    socket.on("unexpected-response", () => {
      tell("error", { error: "websocket: bad handshake" });
      socket.terminate();
      this.#gone(id, tell, 0, "");
    });
    socket.on("error", (error) => {
      if (this.#sockets.has(id))
        tell("error", { error: ERRORS[/** @type {any} */ (error).code] ?? error.message });
    });
    socket.on("close", (closeCode, reason) => {
      code = closeCode;
      this.#gone(id, tell, code, reason.toString());
    });
  }

  /** @param {number} id @param {(type: string, more: object) => void} tell @param {number} code @param {string} reason */
  #gone(id, tell, code, reason) {
    if (!this.#sockets.delete(id)) return;
    // k6 tells no code where there was no close frame.
    tell("close", code === 0 || code === 1005 || code === 1006 ? { reason } : { code, reason });
  }

  /** @param {number} id @param {string} text */
  send(id, text) {
    this.sample("ws_msgs_sent", 1);
    this.#sockets.get(id)?.send(text);
  }

  /** @param {number} id @param {number} code */
  closeSocket(id, code) {
    this.#sockets.get(id)?.close(code);
  }

  /** Ends all of it. */
  close() {
    this.#agent.destroy();
    for (const socket of this.#sockets.values()) socket.terminate();
    this.#sockets.clear();
  }
}
