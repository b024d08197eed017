// Outcomes of invocations. Rates are over the known ones.
import { count } from './format.ts';
import { type Interval, wilson } from './wilson.ts';

export interface Outcomes {
  completed: number;
  failed: number;
  unknown: number;
}

/** `completed` of the API includes the unknown outcomes, as v1.0 defines it. */
export function outcomesOf(invocations: number, completed: number, unknown = 0): Outcomes {
  return { completed: completed - unknown, failed: invocations - completed, unknown };
}

/** The success rate with its 95 % interval; null without a known outcome. */
export function successRate({ completed, failed }: Outcomes): Interval | null {
  return wilson(completed, completed + failed);
}

/** Such as "3 failed" or "3 failed, 2 unknown". */
export function outcomeText({ failed, unknown }: Pick<Outcomes, 'failed' | 'unknown'>): string {
  return `${count(failed)} failed${unknown > 0 ? `, ${count(unknown)} unknown` : ''}`;
}
