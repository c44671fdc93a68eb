// Where pending ops are kept: the interface of a storage, and the one that is memory alone.
//
// A storage knows bodies and keys; what an op means, and when it may be sent, is the outbox's.

/** Why an op was refused. */
export interface Refusal {
  /** That of the problem body, or `dependency_rejected`. */
  readonly code: string;
  readonly detail: string;
}

/** An op as it is handed to a storage. */
export interface OpRecord {
  readonly op_id: string;
  /** The op as JSON, exactly as it is sent. */
  readonly body: string;
}

/** An op in the storage. */
export interface StoredOp extends OpRecord {
  /** Its place in the order of sending. */
  readonly key: number;
  /** Set once the server has refused it. */
  readonly rejected?: Refusal;
}

/** One change of what is stored. It is made whole or not at all. */
export interface StoreChange {
  /** These take the place of the records with their keys. */
  readonly put?: readonly StoredOp[];
  /** Keys of records to remove. Those that are gone already are no error. */
  readonly remove?: readonly number[];
}

/**
 * A storage of pending ops.
 *
 * Invariants: calls take effect in the order in which they were made, and keys only grow. A call starts its work before
 * it returns, where that is possible at all: a page that is being left gets no later chance.
 */
export interface OutboxStore {
  /** Whether others see it too, such as further tabs. They agree on who sends then. */
  readonly shared: boolean;
  /** What is stored under a scope, in the order of keys; with `after`, only what has a greater key. */
  load(scope: string, after?: number): Promise<readonly StoredOp[]>;
  /** Stores ops at the end. Once it resolves, with their keys, they are durable. */
  append(scope: string, ops: readonly OpRecord[]): Promise<readonly number[]>;
  /** Changes what is stored. Once it resolves, the change is durable. */
  change(scope: string, change: StoreChange): Promise<void>;
  /**
   * The page may be gone after this task, and these ops, in their order, are not stored yet, though `append` may have been
   * called for them: keeps them so that `load` finds them, at the next time, should it not come to that.
   */
  leave?(scope: string, ops: readonly OpRecord[]): void;
  /**
   * Moves all there is under a scope to another one, whole or not at all, and with the keys that it has. Resolves with the
   * number of ops. Without it, there can be no former names of a deployment.
   */
  move?(from: string, to: string): Promise<number>;
  /** Removes all there is under scopes that begin so. Resolves with the number of ops that were still to be sent. */
  erase(prefix: string): Promise<number>;
  /** Final. */
  close(): void;
}

/**
 * Keeps ops for as long as the object lives. Give each outbox its own: nothing tells two of them who sends.
 */
export class MemoryStore implements OutboxStore {
  readonly shared: boolean = false;
  readonly #scopes = new Map<string, Map<number, StoredOp>>();
  #lastKey = 0;

  async load(scope: string, after = 0): Promise<readonly StoredOp[]> {
    return [...this.#scope(scope).values()]
      .filter((record) => record.key > after)
      .sort((a, b) => a.key - b.key);
  }

  async append(scope: string, ops: readonly OpRecord[]): Promise<readonly number[]> {
    return ops.map(({ op_id, body }) => {
      this.#lastKey += 1;
      this.#scope(scope).set(this.#lastKey, { key: this.#lastKey, op_id, body });
      return this.#lastKey;
    });
  }

  async change(scope: string, change: StoreChange): Promise<void> {
    const records = this.#scope(scope);
    for (const record of change.put ?? []) records.set(record.key, record);
    for (const key of change.remove ?? []) records.delete(key);
  }

  async move(from: string, to: string): Promise<number> {
    const moved = this.#scope(from);
    if (from === to) return 0;
    for (const [key, record] of moved) this.#scope(to).set(key, record);
    this.#scopes.delete(from);
    return moved.size;
  }

  async erase(prefix: string): Promise<number> {
    let unsent = 0;
    for (const [scope, records] of this.#scopes) {
      if (!scope.startsWith(prefix)) continue;
      for (const { rejected } of records.values()) if (rejected === undefined) unsent += 1;
      this.#scopes.delete(scope);
    }
    return unsent;
  }

  close(): void {}

  #scope(scope: string): Map<number, StoredOp> {
    let records = this.#scopes.get(scope);
    if (records === undefined) {
      records = new Map();
      this.#scopes.set(scope, records);
    }
    return records;
  }
}
