// The three charts of a history: what each draws, and how it says it in words.
import uPlot from 'uplot';
import { count, duration, percent, plural } from '../format.ts';
import { type HistoryData, hasMeans, hasUnknown, type Step, total } from '../history.ts';
import type { Mark } from '../marks.ts';
import { type Outcomes, outcomeText, successRate } from '../outcomes.ts';

/** Resolves a custom property to a colour of the current theme. */
type Colour = (name: string) => string;

interface Curve {
  value: (step: Step) => number | null;
  style: (colour: Colour) => uPlot.Series;
}

export interface Chart {
  label: string;
  /** In pixels. */
  height: number;
  /** The kind of each mark (a class `key-<kind>`), and what it stands for. */
  legend: (data: HistoryData, marks: readonly Mark[]) => (readonly [kind: string, words: string])[];
  curves: readonly Curve[];
  /** Upper end of the vertical axis if the largest value is `high`. */
  top: (high: number) => number;
  axis: Partial<uPlot.Axis>;
  /** Whether the cursor marks points. */
  points: boolean;
  /** Label of a value on the vertical axis. */
  value: (value: number) => string;
  /** A step that has invocations, in words. */
  step: (step: Step) => string;
  /** The whole chart of a range that has invocations, in words. */
  summary: (data: HistoryData) => string;
}

const bars =
  (name: string) =>
  (colour: Colour): uPlot.Series => {
    const paths = uPlot.paths.bars?.({ size: [0.86, 40], align: 0 });
    return { fill: colour(name), width: 0, points: { show: false }, ...(paths ? { paths } : {}) };
  };

const line =
  (name: string, dash: number[] = []) =>
  (colour: Colour): uPlot.Series => {
    const stroke = colour(name);
    return { width: 1.75, spanGaps: false, stroke, dash, points: { show: true, size: 4, fill: stroke } };
  };

/** Some space above the largest value. */
const aboveAll = (high: number) => (high > 0 ? high * 1.1 : 1);

function rangeText(name: string, { steps }: HistoryData, value: (step: Step) => number | null): string[] {
  const values = steps.map(value).filter((each) => each !== null);
  if (values.length === 0) return [];
  return [`${name} from ${duration(Math.min(...values))} to ${duration(Math.max(...values))}`];
}

function outcomesOfAll(data: HistoryData): Outcomes {
  return {
    completed: total(data, ({ completed }) => completed),
    failed: total(data, ({ failed }) => failed),
    unknown: total(data, ({ unknown }) => unknown),
  };
}

export const CHARTS: readonly Chart[] = [
  {
    label: 'Invocations',
    height: 170,
    legend: (data, marks) => [
      ['completed', 'completed'],
      ...(hasUnknown(data) ? [['unknown', 'outcome unknown'] as const] : []),
      ['failed', 'failed'],
      ...(marks.some(({ isAlert }) => isAlert) ? [['band', 'alert'] as const] : []),
      ...(marks.some(({ isAlert }) => !isAlert) ? [['deviation', 'deviation'] as const] : []),
    ],
    // Each bar hides the lower part of the one before it: what remains visible failed, is unknown, or completed.
    curves: [
      { value: ({ all }) => all, style: bars('--failed') },
      { value: ({ completed, unknown }) => completed + unknown, style: bars('--unknown') },
      { value: ({ completed }) => completed, style: bars('--completed') },
    ],
    top: aboveAll,
    axis: { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] },
    points: false,
    value: count,
    step: (step) => `${count(step.completed)} completed, ${outcomeText(step)}`,
    summary: (data) =>
      `${plural(
        total(data, ({ all }) => all),
        'invocation',
      )}, ${outcomeText(outcomesOfAll(data))}`,
  },
  {
    label: 'Success rate',
    height: 140,
    legend: () => [],
    curves: [{ value: ({ rate }) => rate, style: line('--completed') }],
    top: () => 1.04,
    axis: { splits: () => [0, 0.5, 1] },
    points: true,
    value: (value) => `${Math.round(value * 100)} %`,
    step: ({ rate, completed, failed, unknown }) =>
      rate === null
        ? `unknown: no known outcome of ${count(unknown)}`
        : `${percent(rate)} of ${count(completed + failed)}${unknown > 0 ? ' with a known outcome' : ''}`,
    summary: (data) => {
      const interval = successRate(outcomesOfAll(data));
      return interval ? `${percent(interval.rate)} overall` : 'unknown';
    },
  },
  {
    label: 'Duration',
    height: 170,
    legend: (data) => [
      ['line', data.bounds ? 'median, may include waits' : 'median'],
      ['dashed', '95th percentile'],
      ...(hasMeans(data) ? [['dotted', 'mean, where no median is stored'] as const] : []),
    ],
    curves: [
      { value: ({ p50 }) => p50, style: line('--completed') },
      { value: ({ p95 }) => p95, style: line('--failed', [5, 3]) },
      { value: ({ mean }) => mean, style: line('--muted', [2, 3]) },
    ],
    top: aboveAll,
    axis: {},
    points: true,
    value: duration,
    step: ({ p50, p95, mean }) =>
      mean === null
        ? `median ${duration(p50)}, 95th percentile ${duration(p95)}`
        : `mean ${duration(mean)}, median not stored`,
    summary: (data) =>
      [
        ...rangeText('medians', data, ({ p50 }) => p50),
        ...rangeText('means without a median', data, ({ mean }) => mean),
      ].join(', ') || 'unknown',
  },
];
