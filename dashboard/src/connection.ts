// Labels for the connection state and for the freshness of the data.
import type { ConnectionState } from 'session-buddy-client';

/** Age in seconds from which data is stale: three missed updates, at least five seconds. */
export function staleAfter(interval: number | undefined): number {
  return Math.max(5, 3 * (interval ?? 1) + 1);
}

export type Tone = 'good' | 'busy' | 'bad';

/** `localNow` and `retryAt` are by the clock of the browser. */
export function connectionLabel(
  connection: ConnectionState,
  tokenRequired: boolean,
  fresh: boolean,
  hasData: boolean,
  localNow: number,
): { tone: Tone; label: string } {
  if (tokenRequired) return { tone: 'bad', label: 'Token required' };
  switch (connection.status) {
    case 'open':
      if (!hasData) return { tone: 'busy', label: 'No data yet' };
      return fresh ? { tone: 'good', label: 'Live' } : { tone: 'bad', label: 'No new data' };
    case 'idle':
      return { tone: 'busy', label: 'Connecting…' };
    case 'connecting':
      return connection.attempt === 0
        ? { tone: 'busy', label: 'Connecting…' }
        : { tone: 'bad', label: 'Reconnecting…' };
    case 'waiting': {
      const seconds = Math.max(1, Math.ceil((connection.retryAt - localNow) / 1000));
      return { tone: 'bad', label: `Reconnecting in ${seconds} s` };
    }
    case 'closed':
      return { tone: 'bad', label: 'Not connected' };
  }
}

/** The banner of a page without a live connection; `polled` is true while the HTTP API still responds. */
export function disconnectedMessage(polled: boolean, hasData: boolean): { headline: string; detail: string } {
  if (polled) {
    return {
      headline: 'No live connection.',
      detail: 'Metrics and alerts are polled every 15 seconds; deviations and active sessions are not up to date.',
    };
  }
  return {
    headline: 'The server is not responding.',
    detail: hasData ? 'The page shows the last data received.' : 'There is no data to show yet.',
  };
}
