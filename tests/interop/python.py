"""Python's websockets as a client: python.py PARAMETERS. Prints what happens, one JSON object a line."""

import asyncio
import json
import sys
import time

import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def tell(**event):
    print(json.dumps(event), flush=True)


def count_compressed(extensions):
    """Counts the frames that come and go compressed: the library itself does not say."""
    counts = {"received": 0, "sent": 0}

    def count(extension, method, direction, frame_of):
        original = getattr(extension, method)

        def counting(frame, **options):
            result = original(frame, **options)
            counts[direction] += frame_of(frame, result).rsv1
            return result

        setattr(extension, method, counting)

    for extension in extensions:
        count(extension, "decode", "received", lambda before, _: before)
        count(extension, "encode", "sent", lambda _, after: after)
    return counts


async def follow(url, subprotocol, compressed, drawing_id, last, words, **_):
    is_binary = subprotocol == "revcast.v1.msgpack"
    compression = "deflate" if compressed else None
    async with connect(url, subprotocols=[subprotocol], compression=compression) as socket:
        extensions = socket.protocol.extensions
        compressed_frames = count_compressed(extensions)
        tell(event="open", subprotocol=socket.subprotocol, extensions=", ".join(e.name for e in extensions))
        send = lambda message: socket.send(msgpack.packb(message) if is_binary else json.dumps(message))
        began = time.monotonic()
        try:
            while True:
                data = await socket.recv()
                assert isinstance(data, bytes) == is_binary, "a frame of another subprotocol"
                message = msgpack.unpackb(data) if is_binary else json.loads(data)
                tell(event="message", message=message)
                match message:
                    case {"type": "hello"}:
                        await send({"type": "subscribe", "drawing_id": drawing_id})
                    case {"type": "ops", "revision": revision} if revision >= last:
                        await send({"type": "ping", "t": words})
                    case {"type": "pong"}:
                        break
            began = time.monotonic()
            await socket.close()
        except ConnectionClosed:
            began = time.monotonic()
    received = socket.protocol.close_rcvd
    clean = received is not None and socket.protocol.close_sent is not None
    tell(event="closed", code=socket.close_code, clean=clean, ms=(time.monotonic() - began) * 1000)
    tell(event="wire", compressed=compressed_frames)


asyncio.run(follow(**json.loads(sys.argv[1])))
