// Real servers for tests: throwaway nodes, which a program of `loadtest` starts, and what tests ask of them directly.
//
// Speaks plain HTTP, without the client under test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CommittedOp, Role } from "../../src/index.js";

export interface TestbedOptions {
  /** `sqlite` by default, which is quickest; several nodes need `postgres`. */
  readonly backend?: "sqlite" | "postgres";
  /** One by default. */
  readonly nodes?: number;
  /** Flags of `revcast serve`. */
  readonly flags?: readonly string[];
  /** A program to run in place of the `revcast` that was built. */
  readonly server?: string;
}

/** A user that tests act as. */
export interface Person {
  readonly sub: string;
  readonly token: string;
}

/** Built by `cargo build --workspace`. */
const PROGRAM =
  process.env.REVCAST_TESTBED ?? fileURLToPath(new URL("../../../../target/debug/testbed", import.meta.url));

export class Testbed {
  readonly #program: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** One command at a time: answers have no ids. */
  #last: Promise<unknown> = Promise.resolve();
  #nodes: readonly string[] = [];

  /** Use `startTestbed`. */
  constructor(options: TestbedOptions) {
    const { backend = "sqlite", nodes = 1, flags = [], server } = options;
    const env = server === undefined ? process.env : { ...process.env, REVCAST_BIN: server };
    const args = ["--backend", backend, "--nodes", `${nodes}`, ...flags];
    this.#program = spawn(PROGRAM, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#program.on("error", (error) => {
      this.#program.stdout?.destroy(new Error(`${PROGRAM}: ${error.message}: run cargo build --workspace`));
    });
    const { stdout } = this.#program;
    if (stdout === null) throw new Error("the program has no output");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Waits until the nodes listen. */
  async ready(): Promise<void> {
    const { nodes } = (await this.#line()) as { nodes: readonly string[] };
    this.#nodes = nodes;
  }

  /** The addresses of the nodes, which stay the same. */
  get nodes(): readonly string[] {
    return this.#nodes;
  }

  /** The address of the first node. */
  get url(): string {
    return this.#nodes[0] ?? "";
  }

  /** Ends a node at once, as a crash would. */
  kill(node = 0): Promise<void> {
    return this.#order({ kill: node });
  }

  /** Has a node stop as it should: it drains first. */
  stop(node = 0): Promise<void> {
    return this.#order({ stop: node });
  }

  /** Starts a node again at its address. */
  start(node = 0): Promise<void> {
    return this.#order({ start: node });
  }

  /** Gives the database a new epoch. Nodes take it up when they start. */
  newEpoch(): Promise<void> {
    return this.#order({ new_epoch: null });
  }

  /** Ends everything. */
  async close(): Promise<void> {
    const ended = this.#program.exitCode === null ? once(this.#program, "exit") : undefined;
    this.#program.stdin?.end();
    await ended;
  }

  /** A token of `POST /v1/dev/tokens`. */
  async token(sub: string, name?: string): Promise<string> {
    const { token } = await this.call<{ token: string }>(undefined, "POST", "/v1/dev/tokens", { sub, name });
    return token;
  }

  async person(sub: string, name?: string): Promise<Person> {
    return { sub, token: await this.token(sub, name) };
  }

  /** Makes a drawing and returns its id. */
  async createDrawing(owner: Person, title?: string): Promise<string> {
    const body = { title };
    const { drawing_id } = await this.call<{ drawing_id: string }>(owner, "POST", "/v1/drawings", body);
    return drawing_id;
  }

  /** Gives a role, or takes it away. */
  async setRole(owner: Person, drawingId: string, sub: string, role: Role | null): Promise<void> {
    const path = `/v1/drawings/${drawingId}/members/${encodeURIComponent(sub)}`;
    await (role === null ? this.call(owner, "DELETE", path) : this.call(owner, "PUT", path, { role }));
  }

  /** Commits ops, and returns the head. */
  async commit(person: Person, drawingId: string, ops: readonly unknown[]): Promise<number> {
    const path = `/v1/drawings/${drawingId}/ops`;
    const answer = await this.call<{ latest_revision: number }>(person, "POST", path, { ops });
    return answer.latest_revision;
  }

  /** The whole log of a drawing. */
  async log(person: Person, drawingId: string, node = 0): Promise<CommittedOp[]> {
    const log: CommittedOp[] = [];
    for (;;) {
      const path = `/v1/drawings/${drawingId}/ops?after=${log.length}`;
      const page = await this.call<{ ops: CommittedOp[]; complete: boolean }>(
        person,
        "GET",
        path,
        undefined,
        node,
      );
      log.push(...page.ops);
      if (page.complete) return log;
    }
  }

  /** A request with JSON. Fails with the answer unless it is 2xx. */
  async call<T>(
    person: Person | undefined,
    method: string,
    path: string,
    body?: unknown,
    node = 0,
  ): Promise<T> {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (person !== undefined) headers.Authorization = `Bearer ${person.token}`;
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(20_000) };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await fetch(`${this.#nodes[node]}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  #order(order: object): Promise<void> {
    const answered = this.#last.then(async () => {
      this.#program.stdin?.write(`${JSON.stringify(order)}\n`);
      const answer = (await this.#line()) as { error?: string };
      if (answer.error !== undefined) throw new Error(`${JSON.stringify(order)}: ${answer.error}`);
    });
    // The next one does not suffer from this one's failure.
    this.#last = answered.catch(() => undefined);
    return answered;
  }

  async #line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${PROGRAM} has ended`);
    return JSON.parse(value);
  }
}

/** Starts servers; `close()` ends them, and so does the end of this process. */
export async function startTestbed(options: TestbedOptions = {}): Promise<Testbed> {
  const testbed = new Testbed(options);
  await testbed.ready();
  return testbed;
}
