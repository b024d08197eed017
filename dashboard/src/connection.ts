// How the connection and the freshness of the figures are put into words.
import type { ConnectionState } from 'session-buddy-client';

/** Seconds beyond which figures count as old: three missed updates, and no less than people notice. */
export function staleAfter(interval: number | undefined): number {
  return Math.max(5, 3 * (interval ?? 1) + 1);
}

export type Tone = 'good' | 'busy' | 'bad';

/** `localNow` is by the viewer's clock, as `retryAt` is. */
export function connectionWords(
  connection: ConnectionState,
  tokenWanted: boolean,
  fresh: boolean,
  any: boolean,
  localNow: number,
): { tone: Tone; words: string } {
  if (tokenWanted) return { tone: 'bad', words: 'Needs a token' };
  switch (connection.status) {
    case 'open':
      if (!any) return { tone: 'busy', words: 'No data yet' };
      return fresh ? { tone: 'good', words: 'Live' } : { tone: 'bad', words: 'No new data' };
    case 'idle':
    case 'connecting': {
      const { attempt = 0, maxAttempts = 0 } = connection as { attempt?: number; maxAttempts?: number };
      if (attempt === 0) return { tone: 'busy', words: 'Connecting…' };
      return {
        tone: 'bad',
        words: attempt <= maxAttempts ? `Reconnecting ${attempt}/${maxAttempts}…` : 'Reconnecting…',
      };
    }
    case 'waiting': {
      const seconds = Math.max(1, Math.ceil((connection.retryAt - localNow) / 1000));
      const which =
        connection.attempt <= connection.maxAttempts ? ` ${connection.attempt}/${connection.maxAttempts}` : '';
      return { tone: 'bad', words: `Reconnecting${which} in ${seconds} s` };
    }
    case 'closed':
      return { tone: 'bad', words: 'Not connected' };
  }
}

/** What a page without a live connection says of it; `polled`: the HTTP API answers all the same. */
export function lostWords(polled: boolean, any: boolean): { headline: string; words: string } {
  if (polled) {
    return {
      headline: 'There is no live connection.',
      words: 'Figures come only every 15 seconds; anomalies and active sessions need it to be up to date.',
    };
  }
  return {
    headline: 'The server does not answer.',
    words: any ? 'What you see is what it said last.' : 'There is nothing to show until it does.',
  };
}
