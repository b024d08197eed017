// Asking the API again and again: while the page can be seen, once at a time, and given up when the question changes.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { answered, failed, unanswered } from './answer.ts';
import { live, noteUnauthorized } from './live.ts';
import { poll } from './polling.ts';
import { useStore } from './store.ts';

export interface Polled<T> {
  /** The newest answer; that to the question before until the present one is answered or has failed. */
  data: T | null;
  /** Whether the present question was answered or has failed. */
  current: boolean;
  /** Why the present question has no answer, or only an old one. */
  error: Error | null;
  refresh: () => void;
}

const INTERVAL = 15_000; // milliseconds
/** Between two questions, however often there is reason to ask. */
const SOONEST = 3000;

/** `wanted` says what is asked, so that another one is asked at once; null asks nothing. The rest is in milliseconds. */
export function usePoll<T>(
  wanted: string | null,
  ask: (signal: AbortSignal) => Promise<T>,
  interval: number = INTERVAL,
  soonest: number = SOONEST,
): Polled<T> {
  const [answer, setAnswer] = useState(unanswered<T>);
  const asking = useRef(ask);
  asking.current = ask;
  const refreshing = useRef(() => {});
  const generation = useStore(live, (state) => state.generation);
  // Without its token there is no use in asking.
  const question = useStore(live, (state) => state.tokenWanted !== null) ? null : wanted;

  useEffect(() => {
    if (question === null) return;
    const polling = poll(
      async (signal) => {
        try {
          const data = await asking.current(signal);
          if (!signal.aborted) setAnswer((before) => answered(before, question, data));
        } catch (error) {
          // Where it is a token that is missing, the dialog says so.
          if (signal.aborted || noteUnauthorized(error)) return;
          setAnswer((before) => failed(before, question, error as Error));
        }
      },
      () => document.visibilityState === 'visible',
      interval,
      soonest,
    );
    refreshing.current = polling.refresh;
    document.addEventListener('visibilitychange', polling.look);
    return () => {
      document.removeEventListener('visibilitychange', polling.look);
      polling.stop();
    };
  }, [question, interval, soonest, generation]);

  const current = answer.question === wanted;
  return {
    data: answer.data,
    current,
    error: current ? answer.error : null,
    refresh: useCallback(() => refreshing.current(), []),
  };
}
