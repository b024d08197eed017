// Backoff between reconnection attempts.

export interface ReconnectPolicy {
  /** Milliseconds before the first attempt; the n-th waits n times as long. */
  delay: number;
  /** Consecutive attempts before giving up, or before continuing every `slowDelay`. */
  maxAttempts: number;
  /** Milliseconds between all further attempts; null gives up instead. */
  slowDelay: number | null;
}

/** Maximum jitter as a fraction of the delay, so that the clients of a restarted server do not all reconnect together. */
const JITTER = 0.2;

/**
 * Milliseconds to wait before attempt number `attempt` (1 is the first after the connection was lost), or null to give
 * up. `random` is from 0 to 1.
 */
export function reconnectDelay(policy: ReconnectPolicy, attempt: number, random: number): number | null {
  const base = attempt <= policy.maxAttempts ? policy.delay * attempt : policy.slowDelay;
  return base === null ? null : base * (1 + JITTER * random);
}
