// The shared clock of the page: rerenders everything that shows an age once a second while the page is visible.
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

/** The time of the server in milliseconds since 1970, updated once a second. */
export function useNow(): number {
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => {
    listeners.add(setNow);
    timer ??= setInterval(tick, 1000);
    return () => {
      listeners.delete(setNow);
      if (listeners.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, []);
  return now;
}
