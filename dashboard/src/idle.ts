// The idle state: the window is empty, but older invocations exist. The page then shows those, and says so.
import type { ServerInfo } from 'session-buddy-client';
import { moment } from './format.ts';

/** Time of the last invocation if the window is empty; null if it is not, or if nothing was ever recorded. */
export function idleSince(server: ServerInfo | null, liveSkills: number): number | null {
  if (server === null || liveSkills > 0 || server.invocation_count > 0) return null;
  return moment(server.lifetime.last_invocation_at);
}

/** End of a history chart: the last invocation if it is older than a day, else null for now. */
export function endOfHistory(lastAt: number | null, now: number): number | null {
  return lastAt !== null && lastAt < now - 86_400_000 ? lastAt : null;
}
