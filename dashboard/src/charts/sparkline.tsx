// Invocations of the last 24 hours as a stacked bar chart: failed on top of completed.
import type { Sparkline as Counts } from 'session-buddy-client';
import { plural } from '../format.ts';
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

export function Sparkline({
  counts,
  label,
}: {
  counts: Pick<Counts, 'invocation_count' | 'completed_count'>;
  label: string;
}) {
  const { invocation_count: all, completed_count: completed } = counts;
  const highest = Math.max(1, ...all);
  const failed = all.map((total, index) => Math.max(0, total - (completed[index] ?? 0)));
  const total = all.reduce((sum, each) => sum + each, 0);
  const failures = failed.reduce((sum, each) => sum + each, 0);
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${all.length * WIDTH - 1} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: ${plural(total, 'invocation')}, ${failures} failed, at most ${highest} in one step`}
    >
      <path class="spark-base" d={`M0 ${HEIGHT - 0.25}H${all.length * WIDTH - 1}`} vector-effect="non-scaling-stroke" />
      <path class="spark-completed" d={bars(completed, [], HEIGHT / highest)} />
      <path class="spark-failed" d={bars(failed, completed, HEIGHT / highest)} />
    </svg>
  );
}
