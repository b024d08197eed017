// Three charts with a shared time axis: invocations, success rate and durations, with anomalies as background bands.
import { useEffect, useRef } from 'preact/hooks';
import type { AnomalyEpisode } from 'session-buddy-client';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { KIND_LABELS, kindOf } from '../anomalies.ts';
import { clock } from '../data/live.ts';
import { absolute, count, day, duration, moment, percent, plural, shortMoment } from '../format.ts';
import { type HistoryData, hasMeans } from '../history.ts';
import { colour, onTheme } from '../theme.ts';

type Chart = 'invocations' | 'rate' | 'durations';

interface Options {
  chart: Chart;
  data: HistoryData;
  step: number;
  from: number;
  to: number;
  episodes: readonly AnomalyEpisode[];
}

const HEIGHTS: Record<Chart, number> = { invocations: 170, rate: 140, durations: 170 };
const LEGEND: Record<Chart, [string, string][]> = {
  invocations: [
    ['completed', 'completed'],
    ['failed', 'failed'],
  ],
  rate: [],
  durations: [
    ['line', 'median'],
    ['dashed', '95th percentile'],
  ],
};
const MEANS_LEGEND: [string, string] = ['dotted', 'mean, where no median is stored'];
const SYNC = uPlot.sync('history');

const DAY = 86_400;
/** Ranges longer than this have labels for days. */
const DAYS_FROM = 3 * DAY;

/** Labels such as 13:05, and the day at midnight. */
function timeLabels(splits: readonly number[], spanOfAll: number): string[] {
  return splits.map((split) => {
    const time = absolute(split * 1000).slice(11, 16);
    return spanOfAll > DAYS_FROM || time === '00:00' ? day(split * 1000) : time;
  });
}

/** Draws a band from the start to the end of each anomaly, with a line in the colour of its kind at the top. */
function bands(options: { current: Options }): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        for (const episode of options.current.episodes) {
          const began = moment(episode.detected_at);
          if (began === null) continue;
          const ended = moment(episode.resolved_at) ?? options.current.to * 1000;
          const left = plot.valToPos(began / 1000, 'x', true);
          const width = Math.max(2 * devicePixelRatio, plot.valToPos(ended / 1000, 'x', true) - left);
          const shade = colour(`--kind-${kindOf(episode)}`);
          ctx.fillStyle = shade;
          ctx.globalAlpha = 0.14;
          ctx.fillRect(left, bbox.top, width, bbox.height);
          ctx.globalAlpha = 1;
          ctx.fillRect(left, bbox.top, width, 3 * devicePixelRatio);
        }
        ctx.restore();
      },
    },
  };
}

function seriesOf(chart: Chart): uPlot.Series[] {
  const blue = colour('--completed');
  const orange = colour('--failed');
  const grey = colour('--muted');
  const bars = uPlot.paths.bars?.({ size: [0.86, 40], align: 0 });
  const line = { width: 1.75, spanGaps: false, points: { show: true, size: 4 } };
  switch (chart) {
    case 'invocations':
      // The bars of all invocations lie behind those of the completed ones; the visible rest failed.
      return [
        {},
        { fill: orange, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) },
        { fill: blue, width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) },
      ];
    case 'rate':
      return [{}, { ...line, stroke: blue, points: { show: true, size: 4, fill: blue } }];
    case 'durations':
      return [
        {},
        { ...line, stroke: blue, points: { show: true, size: 4, fill: blue } },
        { ...line, stroke: orange, dash: [5, 3], points: { show: true, size: 4, fill: orange } },
        { ...line, stroke: grey, dash: [2, 3], points: { show: true, size: 4, fill: grey } },
      ];
  }
}

function columns(chart: Chart, data: HistoryData): uPlot.AlignedData {
  switch (chart) {
    case 'invocations':
      return [data.times, data.all, data.completed];
    case 'rate':
      return [data.times, data.rates];
    case 'durations':
      return [data.times, data.p50, data.p95, data.means];
  }
}

function valueLabel(chart: Chart, value: number): string {
  if (chart === 'rate') return `${Math.round(value * 100)} %`;
  if (chart === 'durations') return duration(value);
  return count(value);
}

function createPlot(
  options: { current: Options },
  width: number,
  element: HTMLElement,
  onPoint: (index: number | null) => void,
): uPlot {
  const { chart } = options.current;
  const text = colour('--muted');
  const grid = { stroke: colour('--hairline'), width: 1 };
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: text, grid, font, ticks: { show: false } };
  return new uPlot(
    {
      width,
      height: HEIGHTS[chart],
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: SYNC.key },
        points: { show: chart !== 'invocations', size: 7 },
      },
      scales: {
        // The requested range, even if the data covers less.
        x: { time: true, range: () => [options.current.from, options.current.to] },
        y: {
          range: (_plot, _low, high) => (chart === 'rate' ? [0, 1.04] : [0, high > 0 ? high * 1.1 : 1]),
        },
      },
      axes: [
        {
          ...axis,
          size: 26,
          space: 64,
          incrs: (_plot, _axis, low, high) =>
            high - low > DAYS_FROM
              ? [1, 2, 5, 10].map((days) => days * DAY)
              : [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200],
          values: (_plot, splits) => timeLabels(splits, options.current.to - options.current.from),
        },
        {
          ...axis,
          size: 58,
          space: 34,
          ...(chart === 'invocations'
            ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] }
            : {}),
          ...(chart === 'rate' ? { splits: () => [0, 0.5, 1] } : {}),
          values: (_plot, splits) => splits.map((split) => valueLabel(chart, split)),
        },
      ],
      series: seriesOf(chart),
      plugins: [bands(options)],
      hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
    },
    columns(chart, options.current.data),
    element,
  );
}

function pointText(chart: Chart, data: HistoryData, index: number, step: number): string {
  const at = ((data.times[index] ?? 0) - step / 2) * 1000;
  const now = clock.now();
  const when = `${shortMoment(at, now)} to ${shortMoment(at + step * 1000, at)}`;
  const all = data.all[index] ?? 0;
  if (all === 0) return `${when}: no invocations`;
  switch (chart) {
    case 'invocations':
      return `${when}: ${count(data.completed[index] ?? 0)} completed, ${count(all - (data.completed[index] ?? 0))} failed`;
    case 'rate':
      return `${when}: ${percent(data.rates[index] ?? null)} of ${count(all)}`;
    case 'durations':
      if ((data.means[index] ?? null) !== null) {
        return `${when}: mean ${duration(data.means[index] ?? null)}, median not stored`;
      }
      return `${when}: median ${duration(data.p50[index] ?? null)}, 95th percentile ${duration(data.p95[index] ?? null)}`;
  }
}

/** A summary of the chart, for screen readers. */
function summaryText(chart: Chart, data: HistoryData): string {
  const sum = (counts: number[]) => counts.reduce((total, each) => total + each, 0);
  const all = sum(data.all);
  const completed = sum(data.completed);
  if (all === 0) return 'no invocations';
  if (chart === 'invocations') return `${plural(all, 'invocation')}, ${count(all - completed)} failed`;
  if (chart === 'rate') return `${percent(completed / all)} overall`;
  const ranges = [
    ['medians', data.p50],
    ['means without a median', data.means],
  ] as const;
  const words = ranges.flatMap(([name, all]) => {
    const values = all.filter((value) => value !== null);
    if (values.length === 0) return [];
    return [`${name} from ${duration(Math.min(...values))} to ${duration(Math.max(...values))}`];
  });
  return words.join(', ') || 'unknown';
}

export function HistoryChart(props: Options & { label: string }) {
  const container = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const options = useRef<Options>(props);
  options.current = props;

  useEffect(() => {
    const element = container.current;
    if (!element) return;
    const showReadout = (index: number | null) => {
      const { chart, data, step, episodes } = options.current;
      if (!readout.current) return;
      if (index === null || data.times[index] === undefined) {
        readout.current.textContent = '';
        return;
      }
      const begin = ((data.times[index] ?? 0) - step / 2) * 1000;
      const overlapping = episodes.filter((episode) => {
        const began = moment(episode.detected_at) ?? Number.POSITIVE_INFINITY;
        const ended = moment(episode.resolved_at) ?? Number.POSITIVE_INFINITY;
        return began < begin + step * 1000 && ended > begin;
      });
      const labels = [...new Set(overlapping.map((episode) => KIND_LABELS[kindOf(episode)].toLowerCase()))];
      readout.current.textContent = [pointText(chart, data, index, step), ...labels].join(' · ');
    };
    const build = () => {
      plot.current?.destroy();
      plot.current = createPlot(options, element.clientWidth, element, showReadout);
    };
    build();
    const resized = new ResizeObserver(() => {
      const { current } = plot;
      if (current && current.width !== element.clientWidth) {
        current.setSize({ width: element.clientWidth, height: current.height });
      }
    });
    resized.observe(element);
    const stop = onTheme(build);
    return () => {
      stop();
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  const { chart, data, episodes, from, to } = props;
  const keys = chart === 'durations' && hasMeans(data) ? [...LEGEND[chart], MEANS_LEGEND] : LEGEND[chart];
  useEffect(() => {
    plot.current?.setData(columns(chart, data));
  }, [chart, data, episodes, from, to]);

  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <strong>{props.label}</strong>
        {keys.map(([kind, words]) => (
          <span key={kind} class={`key key-${kind}`}>
            {words}
          </span>
        ))}
        {episodes.length > 0 && chart === 'invocations' && <span class="key key-band">anomaly</span>}
        <span ref={readout} class="chart-readout quiet" aria-hidden="true" />
      </figcaption>
      <div
        ref={container}
        class="chart-canvas"
        style={{ height: `${HEIGHTS[chart]}px` }}
        role="img"
        aria-label={`${props.label}: ${summaryText(chart, data)}`}
      />
    </figure>
  );
}

/** The data of the charts as a table, for screen readers and keyboards. */
export function HistoryTable({ data, step }: { data: HistoryData; step: number }) {
  const means = hasMeans(data);
  const rows = data.times
    .map((time, index) => ({ time, index }))
    .filter(({ index }) => (data.all[index] ?? 0) > 0)
    .reverse();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section class="scroll" tabIndex={0} aria-label="Chart data">
      <table class="plain-table">
        <caption class="visually-hidden">Chart data, newest first, without steps that have no invocations</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col" class="number">
              Invocations
            </th>
            <th scope="col" class="number">
              Failed
            </th>
            <th scope="col" class="number">
              Success rate
            </th>
            <th scope="col" class="number">
              Median
            </th>
            <th scope="col" class="number">
              95th percentile
            </th>
            {means && (
              <th scope="col" class="number">
                Mean (no median)
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, index }) => (
            <tr key={time}>
              <th scope="row">{absolute((time - step / 2) * 1000).slice(0, 16)}</th>
              <td class="number">{count(data.all[index] ?? 0)}</td>
              <td class="number">{count((data.all[index] ?? 0) - (data.completed[index] ?? 0))}</td>
              <td class="number">{percent(data.rates[index] ?? null)}</td>
              <td class="number">{duration(data.p50[index] ?? null)}</td>
              <td class="number">{duration(data.p95[index] ?? null)}</td>
              {means && <td class="number">{duration(data.means[index] ?? null)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
