// Polls the API while the page is visible, one request at a time; a change of the key aborts the request.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { handleUnauthorized, live } from './live.ts';
import { poll } from './polling.ts';
import { failed, initialState, succeeded } from './query-state.ts';
import { useStore } from './store.ts';

export interface Polled<T> {
  /** The newest data; that of the previous key until the request for the current key succeeds or fails. */
  data: T | null;
  /** Whether `data` and `error` belong to the current key. */
  current: boolean;
  /** Why the data of the current key is missing or stale. */
  error: Error | null;
  refresh: () => void;
}

const INTERVAL = 15_000; // milliseconds
/** Minimum milliseconds between two requests, however often `refresh` is called. */
const MIN_INTERVAL = 3000;

/** `key` identifies the query: a new key is requested immediately, null requests nothing. Intervals in milliseconds. */
export function usePoll<T>(
  key: string | null,
  request: (signal: AbortSignal) => Promise<T>,
  interval: number = INTERVAL,
  minInterval: number = MIN_INTERVAL,
): Polled<T> {
  const [state, setState] = useState(initialState<T>);
  const latestRequest = useRef(request);
  latestRequest.current = request;
  const refreshRef = useRef(() => {});
  const generation = useStore(live, ({ generation }) => generation);
  // Requests without the required token would fail.
  const activeKey = useStore(live, ({ tokenRequired }) => tokenRequired !== null) ? null : key;

  useEffect(() => {
    if (activeKey === null) return;
    const polling = poll(
      async (signal) => {
        try {
          const data = await latestRequest.current(signal);
          if (!signal.aborted) setState((previous) => succeeded(previous, activeKey, data));
        } catch (error) {
          // The token dialog reports a missing token.
          if (signal.aborted || handleUnauthorized(error)) return;
          setState((previous) => failed(previous, activeKey, error as Error));
        }
      },
      () => document.visibilityState === 'visible',
      interval,
      minInterval,
    );
    refreshRef.current = polling.refresh;
    document.addEventListener('visibilitychange', polling.onVisibilityChange);
    return () => {
      document.removeEventListener('visibilitychange', polling.onVisibilityChange);
      polling.stop();
    };
  }, [activeKey, interval, minInterval, generation]);

  const current = state.key === key;
  return {
    data: state.data,
    current,
    error: current ? state.error : null,
    refresh: useCallback(() => refreshRef.current(), []),
  };
}
