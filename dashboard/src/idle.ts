// Nothing lies in the window, though invocations were recorded: the page then shows what there is, and says so.
import type { ServerInfo } from 'session-buddy-client';
import { moment } from './format.ts';

/** When the last invocation was, where none lies in the window; null where one does, or none was ever recorded. */
export function idleSince(server: ServerInfo | null, liveSkills: number): number | null {
  if (server === null || liveSkills > 0 || server.invocation_count > 0) return null;
  return moment(server.lifetime.last_invocation_at);
}

/** Where a history ends, so that the last invocation is in it: there where it is older than a day, else now (null). */
export function endOfHistory(lastAt: number | null, now: number): number | null {
  return lastAt !== null && lastAt < now - 86_400_000 ? lastAt : null;
}
