// Invocations of the last 24 hours as a stacked bar chart: completed, unknown, failed from bottom to top.
import type { Sparkline as Counts } from 'session-buddy-client';
import { plural } from '../format.ts';
import { type Outcomes, outcomesOf, outcomeText } from '../outcomes.ts';
import './sparkline.css';

const WIDTH = 4; // of a bar with its gap
const HEIGHT = 24;

/** One SVG path for all bars of a series; each bar starts at its base. `scale` converts counts into pixels. */
function bars(counts: readonly number[], bases: readonly number[], scale: number): string {
  let path = '';
  counts.forEach((count, index) => {
    if (count <= 0) return;
    const bottom = HEIGHT - (bases[index] ?? 0) * scale;
    // A single invocation must stay visible next to hundreds.
    const height = Math.max(count * scale, 0.8);
    path += `M${index * WIDTH} ${bottom.toFixed(2)}v${(-height).toFixed(2)}h${WIDTH - 1}v${height.toFixed(2)}z`;
  });
  return path;
}

const sum = (counts: readonly number[]) => counts.reduce((total, each) => total + each, 0);

export function Sparkline({
  counts,
  label,
}: {
  counts: Pick<Counts, 'invocation_count' | 'completed_count' | 'unknown_count'>;
  label: string;
}) {
  const { invocation_count: all, completed_count: notFailed, unknown_count } = counts;
  const highest = Math.max(1, ...all);
  const outcomes = all.map((count, index) => outcomesOf(count, notFailed[index] ?? 0, unknown_count[index]));
  const column = (key: keyof Outcomes) => outcomes.map((each) => each[key]);
  const [completed, unknown, failed] = [column('completed'), column('unknown'), column('failed')];
  const sums = { failed: sum(failed), unknown: sum(unknown) };
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${all.length * WIDTH - 1} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${plural(sum(all), 'invocation')}, ${outcomeText(sums)}, at most ${highest} in one step`}
    >
      <path class="spark-base" d={`M0 ${HEIGHT - 0.25}H${all.length * WIDTH - 1}`} vector-effect="non-scaling-stroke" />
      <path class="spark-completed" d={bars(completed, [], HEIGHT / highest)} />
      <path class="spark-unknown" d={bars(unknown, completed, HEIGHT / highest)} />
      <path class="spark-failed" d={bars(failed, notFailed, HEIGHT / highest)} />
    </svg>
  );
}
