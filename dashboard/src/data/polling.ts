// When to request again: once at a time, only while the page can be seen, and sooner where there is reason to.

export interface Polling {
  /** Asks as scheduleSoon as `minInterval` allows; where a question is on its way already, once more schedule it. */
  refresh(): void;
  /** The page can be seen again: makes up for what it left out. */
  onVisibilityChange(): void;
  stop(): void;
}

/** `request` never rejects. `interval` lies between two questions, and `minInterval` however often `refresh` is called; milliseconds. */
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
