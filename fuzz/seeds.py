#!/usr/bin/env python3
"""Writes what fuzz targets begin with: `seeds.py FOLDER`. Ops and logs come from the vectors of the canvas, each in the
form in which a target takes it."""

import gzip
import hashlib
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# See ACTORS in src/lib.rs: the first byte of a line says who has sent it.
WHO = {"alice": "c", "bob": "a", "gm": "b"}


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def without_envelope(op):
    return {key: value for key, value in op.items() if key not in ("revision", "actor", "ts")}


def pack(value):
    """MessagePack of JSON, in the shortest forms."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return struct.pack(">BQ", 0xCF, value) if value >= 0 else struct.pack(">Bq", 0xD3, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, str):
        text = value.encode()
        return (bytes([0xA0 | len(text)]) if len(text) < 32 else struct.pack(">BH", 0xDA, len(text))) + text
    if isinstance(value, list):
        return struct.pack(">BH", 0xDC, len(value)) + b"".join(map(pack, value))
    parts = (pack(key) + pack(item) for key, item in value.items())
    return struct.pack(">BH", 0xDE, len(value)) + b"".join(parts)


def frame(opcode, payload, final=True, mask=b"\x01\x02\x03\x04"):
    """A frame as a client sends it (RFC 6455)."""
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    else:
        head += struct.pack(">BH", 0x80 | 126, len(payload))
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def messages():
    """Messages of clients, as documented and otherwise."""
    drawing = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab"
    yield {"type": "subscribe", "drawing_id": drawing}
    yield {"type": "subscribe", "drawing_id": drawing, "after": 7, "epoch": drawing, "presence": True}
    yield {"type": "unsubscribe", "drawing_id": drawing}
    yield {"type": "presence", "drawing_id": drawing, "state": {"cursor": {"x": 1.5, "y": -2}, "name": "é"}}
    yield {"type": "auth", "ticket": "a.b.c"}
    yield {"type": "ping", "t": [1, None, {"x": 1e300}]}
    yield {"type": "undo", "op_id": drawing}


def seeds():
    for message in messages():
        text = compact(message).encode()
        yield "client_message", b"j" + text
        yield "client_message", b"m" + pack(message)
        for how in b"\x00\x01\x0e":
            yield "frame_reader", bytes([how]) + frame(1, text) + frame(9, b"ping") + frame(8, b"\x03\xe8bye")
    halves = frame(1, b"{\"type\":", final=False) + frame(10, b"") + frame(0, b"1}")
    yield "frame_reader", b"\x06" + halves + frame(2, bytes(300)) + frame(8, b"")
    # "Hello", compressed (RFC 7692 §7.2.3.1).
    yield "frame_reader", b"\x07" + frame(0x41, bytes.fromhex("f248cdc9c90700")) + frame(9, b"")
    files = sorted((ROOT / "tests/vectors").glob("*.json"))
    for vector in (vector for path in files for vector in json.loads(path.read_text())):
        log = vector["log"]
        # Some are filled up with ops that stand for nothing.
        log = [op for op in log if "op_id" in op]
        for op in log:
            yield "op_body", compact(without_envelope(op)).encode()
        lines = "".join(f"{WHO.get(op['actor'], 'a')}{compact(without_envelope(op))}\n" for op in log)
        yield "canvas_log", f"\x02\n{lines}".encode()
        yield "snapshot", f"l\x00{lines}".encode()
        yield "import_log", b"\x40" + "".join(f"{compact(op)}\n" for op in log).encode()
    # As the TypeScript client writes them of some of the vectors.
    for path in sorted((ROOT / "fuzz/registers").glob("*.json")):
        revision = int(path.stem.rsplit("-", 1)[1])
        about = f'"format":2,"drawing_id":"00000000-0000-0000-0000-000000000001","revision":{revision}'
        snapshot = f'{{{about},"registers":{path.read_text().strip()}}}'.encode()
        yield "snapshot", b"j" + bytes([revision]) + snapshot
        yield "snapshot", b"b" + bytes([revision]) + gzip.compress(snapshot, mtime=0)


folder = pathlib.Path(sys.argv[1])
for target, seed in seeds():
    (folder / target).mkdir(parents=True, exist_ok=True)
    (folder / target / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
