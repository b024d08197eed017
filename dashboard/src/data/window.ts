// The metrics window of the server: its length, and whether it is empty.
import { span } from '../format.ts';
import { idleSince } from '../idle.ts';
import { live } from './live.ts';
import { useStore } from './store.ts';

/** The length of the server's metrics window, such as "24 h" (the default). */
export function useWindow(): string {
  return span(useStore(live, (state) => state.server?.window_seconds ?? 86_400));
}

/** Time of the last invocation if the window is empty but older invocations exist; else null. */
export function useIdle(): number | null {
  return useStore(live, ({ server, update }) => idleSince(server, update?.data.top_skills.length ?? 0));
}
