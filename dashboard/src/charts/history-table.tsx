// The data of the charts as a table, for screen readers and keyboards.
import { absolute, count, duration, percent } from '../format.ts';
import { type HistoryData, hasMeans, hasUnknown, type Step } from '../history.ts';
import { PlainTable, type TextColumn } from '../views/plain-table.tsx';

const COUNTS: TextColumn<Step>[] = [
  { label: 'Invocations', text: ({ all }) => count(all) },
  { label: 'Failed', text: ({ failed }) => count(failed) },
];
const UNKNOWN: TextColumn<Step> = { label: 'Unknown', text: ({ unknown }) => count(unknown) };
const METRICS: TextColumn<Step>[] = [
  { label: 'Success rate', text: ({ rate }) => percent(rate) },
  { label: 'Median', text: ({ p50 }) => duration(p50) },
  { label: '95th percentile', text: ({ p95 }) => duration(p95) },
];
const MEAN: TextColumn<Step> = { label: 'Mean (no median)', text: ({ mean }) => duration(mean) };

export function HistoryTable({ data }: { data: HistoryData }) {
  const from: TextColumn<Step> = {
    label: 'From',
    text: ({ time }) => absolute((time - data.step / 2) * 1000).slice(0, 16),
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section class="scroll" tabIndex={0} aria-label="Chart data">
      <PlainTable
        caption="Chart data, newest first, without steps that have no invocations"
        columns={[
          from,
          ...COUNTS,
          ...(hasUnknown(data) ? [UNKNOWN] : []),
          ...METRICS,
          ...(hasMeans(data) ? [MEAN] : []),
        ]}
        rows={data.steps.filter(({ all }) => all > 0).reverse()}
        keyOf={({ time }) => time}
      />
    </section>
  );
}
