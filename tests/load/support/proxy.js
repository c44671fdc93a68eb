// A server that breaks the promise of the socket: a proxy which loses, repeats or swaps a frame of strokes, or loses all
// from one on.
//
// Passes HTTP on as it is.

import { once } from "node:events";
import http from "node:http";
import { WebSocket, WebSocketServer } from "ws";

/** @typedef {"lose" | "repeat" | "swap" | "fall silent"} Fault */

/** The number of the frame with strokes that is at fault, among those of all sockets. */
const NTH = 5;

/** @param {string} target @param {Fault} fault */
export async function startProxy(target, fault) {
  let faults = 0;
  let frames = 0;
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request;
    const onward = http.request(`${target}${url}`, { method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on("connection", (client, request) => {
    const { authorization = "" } = request.headers;
    const upstream = new WebSocket(`${target.replace("http", "ws")}${request.url}`, {
      headers: { authorization },
    });
    /** @type {string[]} */
    const early = [];
    /** @type {string | undefined} */
    let held;
    client.on("message", (data) => {
      if (upstream.readyState === WebSocket.OPEN) upstream.send(data.toString());
      else early.push(data.toString());
    });
    upstream.on("open", () => {
      for (const text of early) upstream.send(text);
    });
    upstream.on("message", (data) => {
      const text = data.toString();
      const isOfStrokes = text.startsWith('{"type":"ops"') && text.includes('"stroke.');
      if (held !== undefined && isOfStrokes) {
        client.send(text);
        client.send(held);
        held = undefined;
        return;
      }
      if (isOfStrokes) frames += 1;
      const isSilent = fault === "fall silent" && frames > NTH;
      if (!isOfStrokes || (frames !== NTH && !isSilent)) return client.send(text);
      faults += 1;
      if (fault === "repeat") {
        client.send(text);
        client.send(text);
      }
      if (fault === "swap") held = text;
    });
    client.on("close", () => upstream.close());
    upstream.on("close", (code) => client.close(code >= 3000 ? code : 1000));
    for (const socket of [client, upstream]) socket.on("error", () => socket.terminate());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    /** The number of frames that were at fault. */
    get faults() {
      return faults;
    },
    async close() {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
