// Listeners of one kind of event, and of changes that may come by the thousand.

/** Calls whoever listens, in the order in which they began. */
export class Emitter<T> {
  readonly #listeners = new Set<{ readonly call: (value: T) => void }>();

  /** Adds a listener; the result removes it. */
  on(call: (value: T) => void): () => void {
    const listener = { call };
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** A listener that throws keeps no other from being called: its error is reported as an uncaught one. */
  emit(value: T): void {
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener.call(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}

/**
 * Tells that something has changed: of the first change in a task at once, and of all that follow in the same task once,
 * at its end. So whoever listens costs the same, however many changes one task makes.
 */
export class Changes extends Emitter<void> {
  /** Whether this task has told of a change already. */
  #hasTold = false;
  /** Whether there were more since. */
  #isDue = false;

  override emit(): void {
    if (this.#hasTold) {
      this.#isDue = true;
      return;
    }
    this.#hasTold = true;
    queueMicrotask(() => {
      this.#hasTold = false;
      if (!this.#isDue) return;
      this.#isDue = false;
      this.emit();
    });
    super.emit();
  }
}
