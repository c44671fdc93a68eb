// The types that openapi-typescript makes, against a server.
import type { components, operations } from "../../../target/sdk/openapi-typescript.js";

type Schemas = components["schemas"];

async function call<Answer>(method: string, path: string, body?: unknown): Promise<{ status: number; answer: Answer }> {
  const headers: Record<string, string> = { authorization: `Bearer ${process.env.REVCAST_TOKEN}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${process.env.REVCAST_BASE}${path}`, { method, headers, ...sent });
  return { status: response.status, answer: (await response.json()) as Answer };
}

function require(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const { answer: drawing } = await call<Schemas["DrawingView"]>("POST", "/v1/drawings");
const path = `/v1/drawings/${drawing.drawing_id}`;
const points = [[0, 0], [4, 3, 0.5]];
const stroke: Schemas["StrokeBegin"] = {
  type: "stroke.begin", op_id: crypto.randomUUID(), object_id: "s1", tool: "pen", props: { width: 3 }, points,
};
// The generator takes the name of the schema for a type that is not listed.
const custom = { type: "custom.dice", op_id: crypto.randomUUID(), data: { sides: 20 } } as unknown as Schemas["CustomOp"];
const request: Schemas["CommitRequest"] = { ops: [stroke, custom] };
type Committed = operations["commit_ops"]["responses"]["200"]["content"]["application/json"];
const { answer: committed } = await call<Committed>("POST", `${path}/ops`, request);
require(committed.latest_revision === 2, committed);
const { answer: undone } = await call<Schemas["UndoResponse"]>("POST", `${path}/undo`);
require(undone.unit === stroke.op_id, undone);

const { answer: page } = await call<Schemas["OpsPage"]>("GET", `${path}/ops`);
const [first, second, third] = page.ops;
require(first?.type === "stroke.begin", first);
const read: number[][] = first.points;
require(JSON.stringify(read) === JSON.stringify(points), first);
require((second?.type as string) === "custom.dice", second);
require(third?.type === "undo", third);
const unit: string = third.unit;
require(unit === stroke.op_id, third);

const { status, answer: problem } = await call<Schemas["Problem"]>("GET", `/v1/drawings/${crypto.randomUUID()}`);
require(status === 404 && problem.code === "not_found", problem);
