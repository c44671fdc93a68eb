"""The package that openapi-generator makes for Python, against a server."""

import os
import uuid

import revcast_openapi as revcast
from revcast_openapi.exceptions import NotFoundException

settings = revcast.Configuration(host=os.environ["REVCAST_BASE"], access_token=os.environ["REVCAST_TOKEN"])
with revcast.ApiClient(settings) as client:
    ops, canvas, drawings = revcast.OpsApi(client), revcast.CanvasApi(client), revcast.DrawingsApi(client)
    drawing = drawings.create_drawing(revcast.CreateDrawing()).drawing_id

    stroke = revcast.StrokeBegin(
        type="stroke.begin", op_id=uuid.uuid4(), object_id="s1", tool="pen", props={"width": 3}, points=[[0, 0], [4, 3, 0.5]]
    )
    custom = revcast.CustomOp(type="custom.dice", op_id=uuid.uuid4(), data={"sides": 20})
    request = revcast.CommitRequest(ops=[revcast.Op(stroke), revcast.Op(custom)])
    assert ops.commit_ops(drawing, request).latest_revision == 2
    assert canvas.undo(drawing).unit == stroke.op_id

    first, second, third = (op.actual_instance for op in ops.read_ops(drawing).ops)
    assert isinstance(first, revcast.CommittedStrokeBegin) and first.points == stroke.points, first
    assert isinstance(second, revcast.CommittedOtherOp) and second.data == {"sides": 20}, second
    assert isinstance(third, revcast.CommittedUndo) and third.unit == stroke.op_id, third

    try:
        drawings.get_drawing(uuid.uuid4())
        raise AssertionError("a drawing that does not exist")
    except NotFoundException as refusal:
        assert refusal.data.code == "not_found", refusal
