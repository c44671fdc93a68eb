"""The rules that the OpenAPI document cannot express, for Schemathesis.

A request that fits the document gets the ids of things that are there, save in the stateful phase, which has ids of its
own, and keeps the rules that no schema expresses. One that does not fit it, on purpose, is left as it is.
"""

import json
import os
import urllib.request
import uuid

import msgpack
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

BASE = os.environ["REVCAST_BASE"]
TOKEN = os.environ["REVCAST_TOKEN"]
OWNER = os.environ["REVCAST_USER"]
MAX_INTEGER = 2**53
LATER = 4_102_444_800_000


def call(method, path, body=None):
    """Returns the answer of the server to the user whose token it is."""
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or "null")


def create_drawing():
    """A drawing in which there is something to see, to undo and to redo."""
    drawing = call("POST", "/v1/drawings", {"title": "A drawing"})["drawing_id"]
    ops = [
        {"type": "object.create", "object_id": f"r{nth}", "kind": "rect", "props": {"x": nth}, "op_id": str(uuid.uuid4())}
        for nth in range(4)
    ]
    call("POST", f"/v1/drawings/{drawing}/ops", {"ops": ops})
    call("POST", f"/v1/drawings/{drawing}/undo", {})
    return drawing, ops[0]["op_id"]


DRAWING, UNIT = create_drawing()


def link():
    return call("POST", f"/v1/drawings/{DRAWING}/links", {"role": "viewer"})


def member():
    call("PUT", f"/v1/drawings/{DRAWING}/members/bob", {"role": "viewer"})
    return "bob"


# By operation, where it is not the drawing that all share.
PATHS = {
    "DELETE /v1/drawings/{drawing_id}": lambda: {"drawing_id": create_drawing()[0]},
    "DELETE /v1/drawings/{drawing_id}/links/{link_id}": lambda: {"drawing_id": DRAWING, "link_id": link()["link_id"]},
    "DELETE /v1/drawings/{drawing_id}/members/{user_id}": lambda: {"drawing_id": DRAWING, "user_id": member()},
    "POST /v1/links/{token}/join": lambda: {"token": link()["token"]},
}


# Fields that may be absent may be null, for generated clients that cannot leave it out.
MAY_BE_NULL = {
    "POST /v1/dev/tokens",
    "POST /v1/drawings",
    "POST /v1/drawings/{drawing_id}/redo",
    "POST /v1/drawings/{drawing_id}/undo",
}


@schemathesis.deserializer("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
def read_message_pack(context, response):
    return msgpack.unpackb(response.content)


@schemathesis.hook
def before_call(context, case, kwargs):
    fits = {place for place, data in case.meta.components.items() if data.mode == GenerationMode.POSITIVE}
    if case.meta.phase.name == TestPhase.EXAMPLES:
        # The document's own, of which nothing more is told.
        fits |= {ParameterLocation.PATH, ParameterLocation.QUERY, ParameterLocation.BODY}
    label = case.operation.label
    if label in MAY_BE_NULL and case.body is None:
        case.body = []
    has_own_ids = case.meta.phase.name == TestPhase.STATEFUL
    if ParameterLocation.PATH in fits and case.path_parameters and not has_own_ids:
        if label in PATHS:
            case.path_parameters.update(PATHS[label]())
        elif "drawing_id" in case.path_parameters:
            case.path_parameters["drawing_id"] = DRAWING
        if label.startswith("PUT ") and case.path_parameters["user_id"] == OWNER:
            # The user who asks has to keep their role.
            case.path_parameters["user_id"] = "bob"
    if ParameterLocation.QUERY in fits and case.query:
        keep_query_rules(case.query)
    if ParameterLocation.BODY in fits and isinstance(case.body, dict):
        keep_body_rules(label, case.body, has_own_ids)


def keep_query_rules(query):
    # One or the other.
    if "at" in query:
        query.pop("at_time", None)
    if "until" in query and "after" in query:
        query["after"], query["until"] = sorted([query["after"], query["until"]], key=int)
    # Nothing comes: it would be waited for in vain.
    query.pop("wait", None)


def keep_body_rules(label, body, has_own_ids):
    if isinstance(body.get("expires_at"), (int, float)):
        body["expires_at"] = max(int(body["expires_at"]), LATER)
    if label.endswith("/presence"):
        if body.get("state") is None:
            # A leave says which connection it is about.
            body["connection_id"] = body.get("connection_id") or str(uuid.uuid4())
        else:
            body["state"] = {"cursor": [1, 2]}
    for op in body.get("ops") or []:
        keep_op_rules(op, has_own_ids)
    body.update({name: whole(value) for name, value in body.items()})


def keep_op_rules(op, has_own_ids):
    # A unit is in the log, or begins with this op.
    is_of_unit = op["type"] in ("undo", "redo")
    if is_of_unit and has_own_ids:
        op["type"] = "canvas.clear"
    if is_of_unit and not has_own_ids:
        op["unit"] = UNIT
    else:
        op.pop("unit", None)
    if len(json.dumps(op.get("meta", {}))) > 1_000:
        op["meta"] = {}
    if "set" in op and "unset" in op:
        op["unset"] = [key for key in op["unset"] if key not in op["set"]]


def whole(value):
    """The same with integers that a double holds, and without a fraction of zero, which makes an integer none here."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return max(-MAX_INTEGER, min(MAX_INTEGER, value))
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value
