// The shown metrics of a skill: a new metric is one more entry of METRICS.
import type { ComponentChildren } from 'preact';
import type { SkillDetail, SkillSort, WindowMetrics } from 'session-buddy-client';
import { RateBar } from '../charts/rate-bar.tsx';
import { areBounds, type Durations, quantileText } from '../durations.ts';
import { between, count, duration, moment, NONE, percent } from '../format.ts';
import type { SkillRow, SortOrder } from '../rows.ts';
import { BOUNDS_MEANING, HelpLink, OutcomeCounts, UNKNOWN_MEANING } from './help.tsx';
import { Ago } from './ui.tsx';
import './metrics.css';

/** A column of the skills table. */
export interface Column {
  /** Sort key of the API. */
  sort: SkillSort;
  label: string;
  /** The visible header, if it is shorter than the label. */
  header?: string;
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
  /** On the skill page; a metric without it is part of the tile of another one. */
  tile?: {
    /** Instead of the label of the column. */
    label?: (windowLength: string, row: SkillRow | null) => ComponentChildren;
    /** Instead of `text`. */
    value?: (row: SkillRow) => ComponentChildren;
    /** Below the value. */
    note: (row: SkillRow | null, detail: SkillDetail | null) => ComponentChildren;
    /** Whether the value is text, not a number. */
    isText?: (row: SkillRow | null) => boolean;
  };
}

/** The column of the names. */
export const NAME: Column = { sort: 'skill_name', label: 'Skill', class: 'col-name', first: 'asc' };

/** A median or 95th percentile; an upper bound has a ≤ that says why. */
function Quantile({ seconds, isBound }: { seconds: number | null | undefined; isBound: boolean }) {
  const text = quantileText(seconds, isBound);
  return isBound ? <span title={BOUNDS_MEANING}>{text}</span> : text;
}

export const METRICS: readonly Metric[] = [
  {
    sort: 'invocation_count',
    label: 'Invocations',
    class: 'number',
    first: 'desc',
    text: ({ invocation_count = 0 }) => count(invocation_count),
    tile: {
      label: (windowLength) => <>Invocations, last {windowLength}</>,
      note: (row) => row && <OutcomeCounts outcomes={row.outcomes} />,
    },
  },
  {
    sort: 'completion_rate',
    label: 'Success rate',
    class: 'col-rate',
    first: 'asc',
    text: ({ completion_rate = null, unknown_count = 0 }) =>
      completion_rate === null && unknown_count > 0 ? 'unknown' : percent(completion_rate),
    cell: rateCell,
    tile: {
      note: (row) =>
        row?.interval ? (
          <>
            <RateBar {...row.interval} />
            {between(row.interval.low, row.interval.high)}
          </>
        ) : (
          row && row.outcomes.unknown > 0 && 'no known outcome'
        ),
      isText: (row) => row !== null && row.interval === null && row.outcomes.unknown > 0,
    },
  },
  {
    sort: 'avg_duration',
    label: 'Mean duration',
    header: 'Mean',
    class: 'col-duration number',
    first: 'desc',
    text: (metrics) =>
      areBounds(metrics) ? (
        <span class="quiet" title={BOUNDS_MEANING}>
          {NONE}
        </span>
      ) : (
        duration(metrics.avg_duration ?? null)
      ),
    tile: {
      label: (_windowLength, row) => (row && areBounds(row) ? 'Median duration' : 'Mean duration'),
      value: (row) =>
        areBounds(row) ? <Quantile seconds={row.p50_duration} isBound /> : duration(row.avg_duration ?? null),
      note: (row) => row && <DurationNote durations={row} />,
    },
  },
  {
    sort: 'p50_duration',
    label: 'Median duration',
    header: 'Median',
    class: 'col-duration number',
    first: 'desc',
    text: (metrics) => <Quantile seconds={metrics.p50_duration} isBound={areBounds(metrics)} />,
  },
  {
    sort: 'p95_duration',
    label: 'p95 duration',
    header: 'p95',
    class: 'col-duration number',
    first: 'desc',
    text: (metrics) => <Quantile seconds={metrics.p95_duration} isBound={areBounds(metrics)} />,
  },
  {
    sort: 'last_invocation_at',
    label: 'Last used',
    class: 'col-last number',
    first: 'desc',
    text: ({ last_invocation_at }) => <Ago at={moment(last_invocation_at)} />,
    tile: {
      note: (_row, detail) =>
        detail?.first_invocation_at && (
          <>
            first <Ago at={moment(detail.first_invocation_at)} />
          </>
        ),
      isText: () => true,
    },
  },
];

function DurationNote({ durations }: { durations: Durations }) {
  const { p50_duration = null, p95_duration = null } = durations;
  if (areBounds(durations)) {
    return (
      <>
        95th percentile {quantileText(p95_duration, true)},{' '}
        <HelpLink title={BOUNDS_MEANING}>may include waits</HelpLink>
      </>
    );
  }
  if (p50_duration === null) return <>of completed invocations</>;
  return (
    <>
      median {duration(p50_duration)}, 95th percentile {duration(p95_duration)}
    </>
  );
}

function rateCell({ invocation_count, outcomes, interval }: SkillRow, windowLength: string) {
  if (invocation_count === 0) return <span class="quiet">no invocations in {windowLength}</span>;
  const { completed, failed, unknown } = outcomes;
  if (!interval) {
    return (
      <span class="quiet" title={UNKNOWN_MEANING}>
        unknown
      </span>
    );
  }
  const { rate, low, high } = interval;
  const range = `95 % interval ${percent(low)} to ${percent(high)}`;
  const known = completed + failed;
  return (
    <div class="rate-cell">
      <span class="rate-value">{percent(rate)}</span>
      <span class="rate-chart" title={`${completed} of ${known} completed; ${range}`}>
        <RateBar {...interval} />
      </span>
      <span class="rate-n quiet">n = {count(known)}</span>
      <span class="visually-hidden">, {range}</span>
      {unknown > 0 && (
        <span class="rate-unknown quiet" title={UNKNOWN_MEANING}>
          <span class="visually-hidden">, </span>
          {count(unknown)} unknown
        </span>
      )}
    </div>
  );
}
