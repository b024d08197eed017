// Durations of a window. Where none was measured, only upper bounds are known: the time from call to result in a
// transcript, which can hold a wait for approval. Their mean says little, so median and 95th percentile replace it.
import { duration } from './format.ts';

/** The fields of a window that this needs; `measured_count` is absent where a source does not report it. */
export interface Durations {
  avg_duration?: number | null;
  p50_duration?: number | null;
  p95_duration?: number | null;
  measured_count?: number;
}

/** Whether the durations are upper bounds. */
export function areBounds({ p50_duration = null, measured_count }: Durations): boolean {
  return measured_count === 0 && p50_duration !== null;
}

/** A quantile as text, with ≤ if it is an upper bound. */
export function quantileText(seconds: number | null | undefined, isBound: boolean): string {
  const text = duration(seconds ?? null);
  return isBound && typeof seconds === 'number' ? `≤ ${text}` : text;
}
