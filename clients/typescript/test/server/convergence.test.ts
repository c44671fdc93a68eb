// Five clients draw at random on real servers, through proxies that spoil what they can. In the end all hold the same,
// and the log has each op once.

import { afterEach, describe, expect, test } from "vitest";
import WebSocket from "ws";
import {
  type CachedCanvas,
  createClient,
  type Drawing,
  MemoryStore,
  type NewOp,
  type ObjectChange,
  type RejectedOp,
  type RevcastClient,
  type Schemas,
  type Stroke,
} from "../../src/index.js";
import { type Random, randomOf } from "../support/random.js";
import { type FaultyProxy, startProxy } from "./proxy.js";
import { startTestbed, type Testbed } from "./testbed.js";

const EDITS = 1_000;
const CLIENTS = 5;
/** For all to be saved and read once the outages are over, in milliseconds. */
const SETTLE = 60_000;
/** For a whole run, on a machine that has other work, in milliseconds. */
const RUN = 180_000;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A user at a device: reloads keep what is stored on it, and nothing else. */
class Device {
  readonly store = new MemoryStore();
  readonly kept = new Map<string, CachedCanvas>();
  /** Of ops that the log must have, unless they are updates: those may become part of others. */
  readonly made = new Set<string>();
  readonly rejected: RejectedOp[] = [];
  readonly errors = new Set<string>();
  client: RevcastClient;
  drawing: Drawing;
  #stroke: Stroke | undefined;

  constructor(
    readonly name: string,
    readonly proxy: FaultyProxy,
    readonly token: string,
    readonly drawingId: string,
    readonly random: Random,
    /** Whether it has a socket to begin with. */
    readonly hasSocket: boolean,
  ) {
    [this.client, this.drawing] = this.#open();
  }

  /** As a page that is left and opened again. */
  reload(): void {
    this.client.close();
    this.#stroke = undefined;
    [this.client, this.drawing] = this.#open();
  }

  /** One random edit. */
  edit(): void {
    const { drawing, random } = this;
    const objects = drawing.view().objects;
    const any = objects[random(Math.max(1, objects.length))]?.object_id;
    const dice = random(10);
    if (this.#stroke !== undefined && dice < 6) {
      if (dice < 5) this.#stroke.append([[random(1000), random(1000), random(100) / 100]]);
      else {
        this.#stroke.end();
        this.#stroke = undefined;
      }
    } else if (dice < 3) {
      this.#stroke = drawing.beginStroke({
        tool: "pen",
        props: { color: this.name },
        points: [[random(9), random(9)]],
      });
    } else if (dice < 5 || any === undefined) {
      drawing.createObject({ kind: "rect", props: { x: random(1000), y: random(1000) } });
    } else if (dice < 8) {
      const change = { set: { x: random(1000), [`of ${this.name}`]: random(1000) } };
      if (dice < 7) drawing.updateObject(any, change);
      else this.#updateSeveral(change);
    } else if (dice === 8) {
      if (random(2) === 0) drawing.undo();
      else drawing.redo();
    } else if (random(3) === 0) {
      drawing.deleteObjects([any]);
    }
  }

  /** As when several objects are selected: in one unit. */
  #updateSeveral(change: ObjectChange): void {
    const { drawing, random } = this;
    const selected = drawing.view().objects.filter(() => random(3) === 0);
    drawing.updateObjects(selected.map(({ object_id }) => ({ object_id, ...change })));
  }

  #open(): [RevcastClient, Drawing] {
    const client = createClient({
      url: this.proxy.url,
      getToken: () => this.token,
      storage: this.store,
      cache: {
        load: async (scope) => this.kept.get(scope),
        save: async (scope, canvas) => void this.kept.set(scope, structuredClone(canvas)),
        remove: async (scope) => void this.kept.delete(scope),
        erase: async () => this.kept.clear(),
      },
      ...(this.hasSocket ? { WebSocket: WebSocket as unknown as typeof globalThis.WebSocket } : {}),
    });
    const drawing = client.open(this.drawingId);
    const edit = drawing.edit.bind(drawing);
    drawing.edit = (op: NewOp) => {
      const id = edit(op);
      if (op.type !== "object.update") this.made.add(id);
      return id;
    };
    drawing.onRejected((rejected) => this.rejected.push(...rejected));
    drawing.onError((error) => this.errors.add(error.code));
    return [client, drawing];
  }
}

/** Lets five devices edit while `disturb` does its worst, and checks what they come to. */
async function converge(
  testbed: Testbed,
  seed: number,
  disturb: (turn: number) => Promise<void>,
): Promise<void> {
  const random = randomOf(seed);
  const owner = await testbed.person("owner", "Owner");
  const drawingId = await testbed.createDrawing(owner);
  const devices: Device[] = [];
  for (let index = 0; index < CLIENTS; index += 1) {
    const name = `user-${index}`;
    const proxy = await startProxy(testbed.nodes[index % testbed.nodes.length] as string);
    proxy.chaos({ seed: seed * 100 + index });
    const token = await testbed.token(name, name);
    await testbed.setRole(owner, drawingId, name, "editor");
    // One of them has no socket at all.
    const device = new Device(name, proxy, token, drawingId, randomOf(seed + index), index !== 4);
    devices.push(device);
    ends.push(
      () => proxy.close(),
      () => device.client.close(),
    );
  }
  for (let turn = 0; turn < EDITS; turn += 1) {
    const device = devices[random(CLIENTS)] as Device;
    device.edit();
    if (random(150) === 0) device.reload();
    if (random(60) === 0) device.drawing.dismissRejected();
    await disturb(turn);
    // Others get their turn, and now and then a coalescing window passes.
    await new Promise((resolve) => setTimeout(resolve, random(8) === 0 ? random(60) : 0));
  }
  for (const device of devices) device.proxy.mode("pass");
  await Promise.all(devices.map((device) => device.drawing.flush()));
  const log = await testbed.log(owner, drawingId);
  await expect
    .poll(() => devices.map((device) => device.drawing.revision), { timeout: SETTLE })
    .toEqual(devices.map(() => log.length));

  const state = await testbed.call<Schemas["SnapshotBody"]>(
    owner,
    "GET",
    `/v1/drawings/${drawingId}/snapshot`,
  );
  expect(state.revision).toBe(log.length);
  for (const { drawing, rejected } of devices) {
    expect(rejected).toEqual([]);
    expect(drawing.sync).toBe("saved");
    expect(drawing.stateHash()).toBe(state.state_hash);
    // Nothing is left on top of what is confirmed.
    expect(drawing.view()).toEqual(state.view);
  }
  const ids = log.map((op) => op.op_id);
  expect(new Set(ids).size).toBe(ids.length);
  const logged = new Set(ids);
  const lost = devices.flatMap((device) => [...device.made].filter((id) => !logged.has(id)));
  expect(lost).toEqual([]);
  expect(ids.length).toBeGreaterThan(EDITS / 2);
  for (const { proxy } of devices) expect(proxy.faults).toBeGreaterThan(0);
}

describe("a thousand random edits by five clients end in one state, no op lost or doubled", () => {
  test("on one embedded node, through faulty proxies", { timeout: RUN }, async () => {
    const testbed = await startTestbed();
    ends.push(() => testbed.close());
    await converge(testbed, 1, async () => {});
  });

  test("on two nodes with Postgres and NATS, of which now one and then the other is killed", {
    timeout: RUN,
  }, async () => {
    const testbed = await startTestbed({ nodes: 2, backend: "postgres" });
    ends.push(() => testbed.close());
    await converge(testbed, 2, async (turn) => {
      if (turn % 250 !== 125) return;
      const node = Math.floor(turn / 250) % 2;
      await testbed.kill(node);
      await testbed.start(node);
    });
  });
});
