// When to ask again: once at a time, only while the page can be seen, and sooner where there is reason to.

export interface Polling {
  /** Asks as soon as `soonest` allows; where a question is on its way already, once more after it. */
  refresh(): void;
  /** The page can be seen again: makes up for what it left out. */
  look(): void;
  stop(): void;
}

/** `ask` never rejects. `interval` lies between two questions, and `soonest` however often `refresh` is called; milliseconds. */
export function poll(
  ask: (signal: AbortSignal) => Promise<void>,
  visible: () => boolean,
  interval: number,
  soonest: number,
): Polling {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;
  let due = true;
  let asked = 0;
  const after = (delay: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      due = true;
      void run();
    }, delay);
  };
  const soon = () => after(Math.max(0, asked + soonest - Date.now()));
  const run = async () => {
    if (asking || !visible()) return;
    clearTimeout(timer);
    due = false;
    asking = true;
    asked = Date.now();
    await ask(abort.signal);
    asking = false;
    if (abort.signal.aborted) return;
    if (due) soon();
    else after(interval);
  };
  void run();
  return {
    refresh() {
      due = true;
      if (!asking) soon();
    },
    look() {
      if (due) void run();
    },
    stop() {
      clearTimeout(timer);
      abort.abort();
    },
  };
}
