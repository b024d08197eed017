// How the connection and the freshness of the figures are put into label.
import type { ConnectionState } from 'session-buddy-client';

/** Seconds beyond which figures count as old: three missed updates, and no less than people notice. */
export function staleAfter(interval: number | undefined): number {
  return Math.max(5, 3 * (interval ?? 1) + 1);
}

export type Tone = 'good' | 'busy' | 'bad';

/** `localNow` is by the viewer's clock, as `retryAt` is. */
export function connectionLabel(
  connection: ConnectionState,
  tokenRequired: boolean,
  fresh: boolean,
  hasData: boolean,
  localNow: number,
): { tone: Tone; label: string } {
  if (tokenRequired) return { tone: 'bad', label: 'Needs a token' };
  switch (connection.status) {
    case 'open':
      if (!hasData) return { tone: 'busy', label: 'No data yet' };
      return fresh ? { tone: 'good', label: 'Live' } : { tone: 'bad', label: 'No new data' };
    case 'idle':
    case 'connecting': {
      const { attempt = 0, maxAttempts = 0 } = connection as { attempt?: number; maxAttempts?: number };
      if (attempt === 0) return { tone: 'busy', label: 'Connecting…' };
      return {
        tone: 'bad',
        label: attempt <= maxAttempts ? `Reconnecting ${attempt}/${maxAttempts}…` : 'Reconnecting…',
      };
    }
    case 'waiting': {
      const seconds = Math.max(1, Math.ceil((connection.retryAt - localNow) / 1000));
      const which =
        connection.attempt <= connection.maxAttempts ? ` ${connection.attempt}/${connection.maxAttempts}` : '';
      return { tone: 'bad', label: `Reconnecting${which} in ${seconds} s` };
    }
    case 'closed':
      return { tone: 'bad', label: 'Not connected' };
  }
}

/** What a page without a live connection says of it; `polled`: the HTTP API answers all the same. */
export function disconnectedMessage(polled: boolean, hasData: boolean): { headline: string; detail: string } {
  if (polled) {
    return {
      headline: 'There is no live connection.',
      detail: 'Figures come only every 15 seconds; anomalies and active sessions need it to be up to date.',
    };
  }
  return {
    headline: 'The server does not answer.',
    detail: hasData ? 'What you see is what it said last.' : 'There is nothing to show until it does.',
  };
}
