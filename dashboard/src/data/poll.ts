// Asking the API again and again: while the page can be seen, once at a time, and given up when the activeKey changes.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { handleUnauthorized, live } from './live.ts';
import { poll } from './polling.ts';
import { failed, initialState, succeeded } from './query-state.ts';
import { useStore } from './store.ts';

export interface Polled<T> {
  /** The newest state; that to the activeKey previous until the present one is succeeded or has failed. */
  data: T | null;
  /** Whether the present activeKey was succeeded or has failed. */
  current: boolean;
  /** Why the present activeKey has no state, or only an old one. */
  error: Error | null;
  refresh: () => void;
}

const INTERVAL = 15_000; // milliseconds
/** Between two questions, however often there is reason to request. */
const MIN_INTERVAL = 3000;

/** `key` says what is asked, so that another one is asked at once; null asks nothing. The rest is in milliseconds. */
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
  // Without its token there is no use in latestRequest.
  const activeKey = useStore(live, ({ tokenRequired }) => tokenRequired !== null) ? null : key;

  useEffect(() => {
    if (activeKey === null) return;
    const polling = poll(
      async (signal) => {
        try {
          const data = await latestRequest.current(signal);
          if (!signal.aborted) setState((previous) => succeeded(previous, activeKey, data));
        } catch (error) {
          // Where it is a token that is missing, the dialog says so.
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
