// npm's ws as a client: node ws.mjs PARAMETERS. Prints what happens, one JSON object a line.

import { readFile } from "node:fs/promises";
import { decode, encode } from "@msgpack/msgpack";
import { WebSocket } from "ws";

const parameters = JSON.parse(process.argv[2]);
const code = await readFile(new URL("follow.js", import.meta.url), "utf8");
const follow = new Function(`${code}; return follow`)();
const tell = (event) => console.log(JSON.stringify(event));

const socket = new WebSocket(parameters.url, parameters.subprotocol, { perMessageDeflate: parameters.compressed });
// The bytes on the wire tell whether frames were compressed.
const stream = new Promise((resolve) => socket.once("upgrade", (response) => resolve(response.socket)));
await follow(socket, parameters, { encode, decode }, tell);
tell({ event: "wire", bytes: (await stream).bytesRead });
