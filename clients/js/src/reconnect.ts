// How long to wait before which attempt to connect again.

export interface ReconnectPolicy {
  /** Milliseconds that the first attempt waits; the n-th waits n times as long. */
  delay: number;
  /** Attempts in a row before giving up, or before going on every `slowDelay`. */
  maxAttempts: number;
  /** Milliseconds between all further attempts; null gives up instead. */
  slowDelay: number | null;
}

/** Share of a delay that chance adds, so that the clients of a restarted server do not come all at once. */
const JITTER = 0.2;

/**
 * Milliseconds to wait before attempt number `attempt` (1 is the first after the connection was lost), or null where
 * there is to be none. `random` is from 0 to 1.
 */
export function reconnectDelay(policy: ReconnectPolicy, attempt: number, random: number): number | null {
  const base = attempt <= policy.maxAttempts ? policy.delay * attempt : policy.slowDelay;
  return base === null ? null : base * (1 + JITTER * random);
}
