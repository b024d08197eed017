// The server's time as far as we know it: ages must not depend on how well the viewer's clock goes.

/** Milliseconds that a new estimate may differ from the old one before it counts: times come in whole seconds. */
const TOLERANCE = 1500;

export class ServerClock {
  readonly #local: () => number;
  #offset: number | null = null;

  constructor(local: () => number = Date.now) {
    this.#local = local;
  }

  /** Now, by the server's clock. */
  now(): number {
    return this.#local() + (this.#offset ?? 0);
  }

  /** The server said what time it is. */
  set(now: number): void {
    const offset = now - this.#local();
    if (this.#offset === null || Math.abs(offset - this.#offset) > TOLERANCE) this.#offset = offset;
  }

  /** Something of this moment just came, so that it cannot be earlier than that there. */
  observe(at: number): void {
    const offset = at - this.#local();
    if (this.#offset === null || offset > this.#offset) this.#offset = offset;
  }
}
