// The shown metrics of a skill: a new metric is one more entry of METRICS.
import type { ComponentChildren } from 'preact';
import type { SkillDetail, SkillSort, WindowMetrics } from 'session-buddy-client';
import { RateBar } from '../charts/rate-bar.tsx';
import { between, count, duration, moment, percent } from '../format.ts';
import type { SkillRow, SortOrder } from '../rows.ts';
import { Ago } from './ui.tsx';
import './metrics.css';

/** A column of the skills table. */
export interface Column {
  /** Sort key of the API. */
  sort: SkillSort;
  label: string;
  class: string;
  /** Order after the first click on the header. */
  first: SortOrder;
}

export interface Metric extends Column {
  sort: SkillSort & keyof WindowMetrics;
  /** The value, for the skills table, the skill page and, if the API reports the metric for phases, their table. */
  text: (metrics: Partial<WindowMetrics>) => ComponentChildren;
  /** What the skills table shows instead of `text`. */
  cell?: (row: SkillRow, windowLength: string) => ComponentChildren;
  /** Label on the skill page, if it differs. */
  tileLabel?: (windowLength: string) => ComponentChildren;
  /** Below the value on the skill page. */
  note: (row: SkillRow | null, detail: SkillDetail | null) => ComponentChildren;
  isText?: boolean;
}

/** The column of the names. */
export const NAME: Column = { sort: 'skill_name', label: 'Skill', class: 'col-name', first: 'asc' };

export const METRICS: readonly Metric[] = [
  {
    sort: 'invocation_count',
    label: 'Invocations',
    class: 'number',
    first: 'desc',
    text: ({ invocation_count = 0 }) => count(invocation_count),
    tileLabel: (windowLength) => <>Invocations, last {windowLength}</>,
    note: (row) => row && `${count(row.invocation_count - row.completed_count)} failed`,
  },
  {
    sort: 'completion_rate',
    label: 'Success rate',
    class: 'col-rate',
    first: 'asc',
    text: ({ completion_rate = null }) => percent(completion_rate),
    cell: rateCell,
    note: (row) =>
      row?.interval && (
        <>
          <RateBar {...row.interval} />
          {between(row.interval.low, row.interval.high)}
        </>
      ),
  },
  {
    sort: 'avg_duration',
    label: 'Mean duration',
    class: 'col-duration number',
    first: 'desc',
    text: ({ avg_duration = null }) => duration(avg_duration),
    note: () => 'of completed invocations',
  },
  {
    sort: 'last_invocation_at',
    label: 'Last used',
    class: 'col-last number',
    first: 'desc',
    text: ({ last_invocation_at }) => <Ago at={moment(last_invocation_at)} />,
    note: (_row, detail) =>
      detail?.first_invocation_at && (
        <>
          first <Ago at={moment(detail.first_invocation_at)} />
        </>
      ),
    isText: true,
  },
];

function rateCell({ invocation_count, completed_count, interval }: SkillRow, windowLength: string) {
  if (!interval) return <span class="quiet">no invocations in {windowLength}</span>;
  const { rate, low, high } = interval;
  const range = `95 % interval ${percent(low)} to ${percent(high)}`;
  return (
    <div class="rate-cell" title={`${completed_count} of ${invocation_count} completed; ${range}`}>
      <span class="rate-value">{percent(rate)}</span>
      <RateBar {...interval} />
      <span class="rate-n quiet">n = {count(invocation_count)}</span>
      <span class="visually-hidden">, {range}</span>
    </div>
  );
}
