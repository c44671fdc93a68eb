// A client with the WebSocket of browsers, for Chromium and for npm's ws alike. It follows a drawing up to
// the revision `last`, asks for its own words back, and closes. All that it gets goes to `tell`.

function follow(socket, { subprotocol, drawing_id, last, words }, { encode, decode }, tell) {
  const isBinary = subprotocol === "revcast.v1.msgpack";
  const send = (message) => socket.send(isBinary ? encode(message) : JSON.stringify(message));
  let closedAt = 0;
  socket.binaryType = "arraybuffer";
  return new Promise((resolve) => {
    socket.onopen = () => tell({ event: "open", subprotocol: socket.protocol, extensions: socket.extensions });
    socket.onmessage = ({ data }) => {
      if (isBinary !== data instanceof ArrayBuffer) throw new Error("a frame of another subprotocol");
      const message = isBinary ? decode(new Uint8Array(data)) : JSON.parse(data);
      tell({ event: "message", message });
      if (message.type === "hello") send({ type: "subscribe", drawing_id });
      if (message.type === "ops" && message.revision >= last) send({ type: "ping", t: words });
      if (message.type === "pong") {
        closedAt = performance.now();
        socket.close(1000);
      }
    };
    socket.onclose = ({ code, wasClean }) => {
      tell({ event: "closed", code, clean: wasClean, ms: closedAt ? performance.now() - closedAt : 0 });
      resolve();
    };
  });
}
