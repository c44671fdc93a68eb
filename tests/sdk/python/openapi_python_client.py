"""The package that openapi-python-client makes, against a server."""

import os
import uuid

from revcast.api.canvas import undo
from revcast.api.drawings import create_drawing, get_drawing
from revcast.api.ops import commit_ops, read_ops
from revcast.client import AuthenticatedClient
from revcast.models import CommitRequest, CommittedOtherOp, CommittedStrokeBegin, CommittedUndo, CreateDrawing, CustomOp
from revcast.models import Problem, StrokeBegin, StrokeBeginProps, StrokeBeginType

client = AuthenticatedClient(base_url=os.environ["REVCAST_BASE"], token=os.environ["REVCAST_TOKEN"])
drawing = create_drawing.sync(client=client, body=CreateDrawing()).drawing_id

stroke = StrokeBegin(
    type_=StrokeBeginType.STROKE_BEGIN,
    op_id=uuid.uuid4(),
    object_id="s1",
    tool="pen",
    props=StrokeBeginProps.from_dict({"width": 3}),
    points=[[0, 0], [4, 3, 0.5]],
)
custom = CustomOp(type_="custom.dice", op_id=uuid.uuid4(), data={"sides": 20})
committed = commit_ops.sync(drawing, client=client, body=CommitRequest(ops=[stroke, custom]))
assert committed.latest_revision == 2, committed
undone = undo.sync(drawing, client=client)
assert undone.unit == stroke.op_id, undone

first, second, third = read_ops.sync(drawing, client=client).ops
assert isinstance(first, CommittedStrokeBegin) and first.points == stroke.points and first.props["width"] == 3, first
assert isinstance(second, CommittedOtherOp) and second.type_ == "custom.dice" and second.data == {"sides": 20}, second
assert isinstance(third, CommittedUndo) and third.unit == stroke.op_id, third

problem = get_drawing.sync(uuid.uuid4(), client=client)
assert isinstance(problem, Problem) and problem.code == "not_found", problem
