// The one clock of the page: what shows an age is drawn again each second, while it can be seen.
import { useEffect, useState } from 'preact/hooks';
import { clock } from './live.ts';

const listeners = new Set<(now: number) => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  if (document.visibilityState !== 'visible') return;
  const now = clock.now();
  for (const listener of listeners) listener(now);
}

document.addEventListener('visibilitychange', tick);

/** Milliseconds since 1970 by the server's clock, in whole steps: nothing is drawn again within one. */
export function useNow(step = 1000): number {
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => {
    const listener = (present: number) => setNow(Math.floor(present / step) * step);
    listener(clock.now());
    listeners.add(listener);
    timer ??= setInterval(tick, 1000);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, [step]);
  return now;
}
