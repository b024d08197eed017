// When the client reconnects. `clients/reconnection.json` has cases of this rule, for this client and the Python one.

/** Milliseconds after which a connection is stable (or `maxDelay`, if less). */
const STABLE = 10_000;
/** Or after this many updates: the first arrives with the subscription, even from a server that then fails. */
const STABLE_UPDATES = 2;

export interface ReconnectPolicy {
  /** Maximum wait in milliseconds before the first attempt; it doubles with each failed attempt. */
  firstDelay: number;
  /** Maximum wait before any attempt. */
  maxDelay: number;
  /** Failed attempts before giving up; null never gives up. */
  maxAttempts: number | null;
}

export const DEFAULT_POLICY: ReconnectPolicy = { firstDelay: 500, maxDelay: 30_000, maxAttempts: 20 };

/** Counts failed attempts. A connection that is lost before it is stable counts as one; a stable one resets the count. */
export class Backoff {
  /** Failed attempts since the last stable connection. */
  failed = 0;
  readonly policy: ReconnectPolicy;
  readonly #now: () => number;
  readonly #random: () => number;
  #stableAt = Number.POSITIVE_INFINITY;
  #updates = 0;

  constructor(policy: ReconnectPolicy, now = () => performance.now(), random = Math.random) {
    this.policy = policy;
    this.#now = now;
    this.#random = random;
  }

  connected(): void {
    this.#stableAt = this.#now() + Math.min(STABLE, this.policy.maxDelay);
  }

  /** An update arrived on this connection. */
  updated(): void {
    this.#updates += 1;
  }

  /**
   * A connection was lost or an attempt failed. Returns the milliseconds to wait before the next attempt, or null to give
   * up. The wait is random, so that clients that lost a server at the same time do not return at the same time.
   */
  lost(): number | null {
    if (this.#now() >= this.#stableAt || (Number.isFinite(this.#stableAt) && this.#updates >= STABLE_UPDATES)) {
      this.failed = 0;
    }
    this.#stableAt = Number.POSITIVE_INFINITY;
    this.#updates = 0;
    const { firstDelay, maxDelay, maxAttempts } = this.policy;
    const ceiling = Math.min(maxDelay, firstDelay * 2 ** this.failed);
    const givesUp = maxAttempts !== null && this.failed >= maxAttempts;
    this.failed += 1;
    return givesUp ? null : ceiling * this.#random();
  }
}
