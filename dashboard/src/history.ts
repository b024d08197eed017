// Converts a time series of a skill into the steps that the charts and their table show.
import type { Series } from 'session-buddy-client';
import { moment } from './format.ts';
import { type Outcomes, outcomesOf, successRate } from './outcomes.ts';

export interface Step extends Outcomes {
  /** The middle, in seconds since 1970. */
  time: number;
  all: number;
  /** Of the known outcomes. */
  rate: number | null;
  p50: number | null;
  p95: number | null;
  /** Mean of a step without a median, for which only hourly rollups are stored; null in all other steps. */
  mean: number | null;
}

export interface HistoryData {
  /** The requested range, in seconds since 1970. */
  from: number;
  to: number;
  /** Length of a step in seconds. */
  step: number;
  steps: Step[];
  /** Whether the durations of the window are upper bounds. */
  bounds: boolean;
}

export function historyData({ from, to, step_seconds: step, points }: Series, bounds = false): HistoryData {
  const steps = points.flatMap((point): Step[] => {
    const at = moment(point.at);
    if (at === null) return [];
    const { invocation_count: all, p50_duration: p50, p95_duration: p95 } = point;
    const outcomes = outcomesOf(all, point.completed_count, point.unknown_count);
    const rate = successRate(outcomes)?.rate ?? null;
    const mean = p50 === null ? point.avg_duration : null;
    return [{ time: at / 1000 + step / 2, all, ...outcomes, rate, p50, p95, mean }];
  });
  return { from: (moment(from) ?? 0) / 1000, to: (moment(to) ?? 0) / 1000, step, steps, bounds };
}

export function hasMeans({ steps }: HistoryData): boolean {
  return steps.some(({ mean }) => mean !== null);
}

export function hasUnknown({ steps }: HistoryData): boolean {
  return steps.some(({ unknown }) => unknown > 0);
}

export function total({ steps }: HistoryData, count: (step: Step) => number): number {
  return steps.reduce((sum, step) => sum + count(step), 0);
}
