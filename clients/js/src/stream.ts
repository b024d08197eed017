// A bounded buffer between events and a consumer that iterates over them with `for await`.

/**
 * Buffers the newest `limit` items. If the consumer is too slow, the oldest are dropped and counted: each update is a
 * full snapshot, so the newest one matters most.
 */
export class BoundedStream<T> implements AsyncIterableIterator<T> {
  /** Number of items that were dropped because the consumer was too slow. */
  dropped = 0;

  readonly #limit: number;
  readonly #items: T[] = [];
  readonly #readers: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  readonly #onEnd: () => void;
  #ended = false;
  #error: unknown;

  constructor(limit: number, onEnd: () => void) {
    this.#limit = limit;
    this.#onEnd = onEnd;
  }

  push(item: T): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve({ value: item, done: false });
      return;
    }
    this.#items.push(item);
    if (this.#items.length > this.#limit) {
      this.#items.shift();
      this.dropped += 1;
    }
  }

  /** Ends the stream after the buffered items; an error is then thrown to the consumer. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#onEnd();
    for (const reader of this.#readers.splice(0)) {
      if (this.#error === undefined) reader.resolve({ value: undefined, done: true });
      else reader.reject(this.#consumeError());
    }
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve({ value: item, done: false });
    if (this.#error !== undefined) return Promise.reject(this.#consumeError());
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The error is thrown once; after that the stream is done. */
  #consumeError(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }
}
