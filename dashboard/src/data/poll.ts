// Asking the API again and again: while the page can be seen, once at a time, and given up when the question changes.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { answered, failed, unanswered } from './answer.ts';
import { live, noteUnauthorized } from './live.ts';
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

export const POLL = 15_000; // milliseconds
/** Between two questions, however often there is reason to ask. */
const SOONEST = 3000;

/** `wanted` says what is asked, so that another one is asked at once; null asks nothing. */
export function usePoll<T>(
  wanted: string | null,
  ask: (signal: AbortSignal) => Promise<T>,
  interval: number = POLL,
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
    let timer: ReturnType<typeof setTimeout> | undefined;
    let abort: AbortController | null = null;
    let due = true;
    let asked = 0;
    const run = async () => {
      if (abort || document.visibilityState !== 'visible') return;
      clearTimeout(timer);
      due = false;
      asked = Date.now();
      const mine = new AbortController();
      abort = mine;
      try {
        const data = await asking.current(mine.signal);
        if (mine.signal.aborted) return;
        setAnswer((before) => answered(before, question, data));
      } catch (error) {
        if (mine.signal.aborted) return;
        // Where it is a token that is missing, the dialog says so.
        if (!noteUnauthorized(error)) setAnswer((before) => failed(before, question, error as Error));
      }
      abort = null;
      timer = setTimeout(() => {
        due = true;
        void run();
      }, interval);
    };
    refreshing.current = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => {
          due = true;
          void run();
        },
        Math.max(0, asked + SOONEST - Date.now()),
      );
    };
    const seen = () => {
      if (due) void run();
    };
    document.addEventListener('visibilitychange', seen);
    void run();
    return () => {
      document.removeEventListener('visibilitychange', seen);
      clearTimeout(timer);
      abort?.abort();
    };
  }, [question, interval, generation]);

  const current = answer.question === wanted;
  return {
    data: answer.data,
    current,
    error: current ? answer.error : null,
    refresh: useCallback(() => refreshing.current(), []),
  };
}
