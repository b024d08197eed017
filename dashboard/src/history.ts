// Converts the time series of a skill into the columns that uPlot expects.
import type { Series } from 'session-buddy-client';
import { moment } from './format.ts';

export interface HistoryData {
  /** The middle of each step, in seconds. */
  times: number[];
  all: number[];
  completed: number[];
  rates: (number | null)[];
  p50: (number | null)[];
  p95: (number | null)[];
  /** Means of the steps without a median, for which only hourly rollups are stored; null in all other steps. */
  means: (number | null)[];
}

export function historyData(series: Series): HistoryData {
  const data: HistoryData = { times: [], all: [], completed: [], rates: [], p50: [], p95: [], means: [] };
  for (const point of series.points) {
    const at = moment(point.at);
    if (at === null) continue;
    data.times.push(at / 1000 + series.step_seconds / 2);
    data.all.push(point.invocation_count);
    data.completed.push(point.completed_count);
    data.rates.push(point.invocation_count > 0 ? point.completed_count / point.invocation_count : null);
    data.p50.push(point.p50_duration);
    data.p95.push(point.p95_duration);
    data.means.push(point.p50_duration === null ? point.avg_duration : null);
  }
  return data;
}

export function hasMeans(data: HistoryData): boolean {
  return data.means.some((mean) => mean !== null);
}
