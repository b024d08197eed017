// Schedules polling: one request at a time, only while the page is visible, earlier on demand.

export interface Polling {
  /** Requests as soon as `minInterval` allows; during a request, once more after it. */
  refresh(): void;
  /** The visibility changed: sends a request that became due while the page was hidden. */
  onVisibilityChange(): void;
  stop(): void;
}

/**
 * `request` never rejects. Polls every `interval`, and at least `minInterval` apart however often `refresh` is called;
 * both in milliseconds.
 */
export function poll(
  request: (signal: AbortSignal) => Promise<void>,
  visible: () => boolean,
  interval: number,
  minInterval: number,
): Polling {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let inFlight = false;
  let due = true;
  let startedAt = 0;
  const schedule = (delay: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      due = true;
      void run();
    }, delay);
  };
  const scheduleSoon = () => schedule(Math.max(0, startedAt + minInterval - Date.now()));
  const run = async () => {
    if (inFlight || !visible()) return;
    clearTimeout(timer);
    due = false;
    inFlight = true;
    startedAt = Date.now();
    await request(abort.signal);
    inFlight = false;
    if (abort.signal.aborted) return;
    if (due) scheduleSoon();
    else schedule(interval);
  };
  void run();
  return {
    refresh() {
      due = true;
      if (!inFlight) scheduleSoon();
    },
    onVisibilityChange() {
      if (due) void run();
    },
    stop() {
      clearTimeout(timer);
      abort.abort();
    },
  };
}
