// Estimates the time of the server, so that ages do not depend on the clock of the browser.

/** Milliseconds by which a new estimate must differ to replace the old one: timestamps have whole seconds. */
const TOLERANCE = 1500;

export class ServerClock {
  readonly #local: () => number;
  #offset: number | null = null;

  constructor(local: () => number = Date.now) {
    this.#local = local;
  }

  /** The current time of the server. */
  now(): number {
    return this.#local() + (this.#offset ?? 0);
  }

  /** Sets the estimate to a time that the server reported. */
  set(now: number): void {
    const offset = now - this.#local();
    if (this.#offset === null || Math.abs(offset - this.#offset) > TOLERANCE) this.#offset = offset;
  }

  /** A message with this timestamp just arrived, so the time of the server is at least that. */
  observe(at: number): void {
    const offset = at - this.#local();
    if (this.#offset === null || offset > this.#offset) this.#offset = offset;
  }
}
