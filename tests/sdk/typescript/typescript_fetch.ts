// The package that openapi-generator makes as typescript-fetch, against a server.
import { CanvasApi, Configuration, DrawingsApi, OpsApi, ResponseError } from "../../../target/sdk/typescript-fetch/index.js";
import type { Op, Problem } from "../../../target/sdk/typescript-fetch/index.js";

function require(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const { REVCAST_BASE = "", REVCAST_TOKEN = "" } = process.env;
const settings = new Configuration({ basePath: REVCAST_BASE, accessToken: REVCAST_TOKEN });
const ops = new OpsApi(settings);
const canvas = new CanvasApi(settings);
const drawings = new DrawingsApi(settings);

const { drawingId } = await drawings.createDrawing({ createDrawing: {} });
const opId = crypto.randomUUID();
const points = [[0, 0], [4, 3, 0.5]];
const stroke: Op = { type: "stroke.begin", opId, objectId: "s1", tool: "pen", props: { width: 3 }, points };
// Types that are not listed go as they are.
const custom = { type: "custom.dice", op_id: crypto.randomUUID(), data: { sides: 20 } } as unknown as Op;
const committed = await ops.commitOps({ drawingId, commitRequest: { ops: [stroke, custom] } });
require(committed.latestRevision === 2, committed);
const undone = await canvas.undo({ drawingId });
require(undone.unit === opId, undone);

const [first, second, third] = (await ops.readOps({ drawingId })).ops;
require(first?.type === "stroke.begin", first);
require(JSON.stringify(first.points) === JSON.stringify(points), first);
require((second as { type: string } | undefined)?.type === "custom.dice", second);
require(third?.type === "undo" && third.unit === opId, third);

try {
  await drawings.getDrawing({ drawingId: crypto.randomUUID() });
  throw new Error("a drawing that does not exist");
} catch (refusal) {
  require(refusal instanceof ResponseError, String(refusal));
  const problem: Problem = await refusal.response.json();
  require(refusal.response.status === 404 && problem.code === "not_found", problem);
}
