// Draws a chart of a history with uPlot; the charts share their time axis and cursor.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { absolute, day } from '../format.ts';
import type { HistoryData } from '../history.ts';
import type { Mark } from '../marks.ts';
import { colour } from '../theme.ts';
import type { Chart } from './history-charts.ts';

/** What is drawn; the plot reads it again each time it draws. */
export interface Plotted {
  current: { chart: Chart; data: HistoryData; marks: readonly Mark[] };
}

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

/** Draws a line at the top from the start to the end of each mark, in the colour of its kind; for alerts a band, too. */
function bands(plotted: Plotted): uPlot.Plugin {
  return {
    hooks: {
      drawClear: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        for (const { kind, isAlert, from, to } of plotted.current.marks) {
          if (from === Number.POSITIVE_INFINITY) continue;
          const end = Math.min(to / 1000, plotted.current.data.to);
          const left = plot.valToPos(from / 1000, 'x', true);
          const width = Math.max(2 * devicePixelRatio, plot.valToPos(end, 'x', true) - left);
          ctx.fillStyle = colour(`--kind-${kind}`);
          ctx.globalAlpha = 0.14;
          if (isAlert) ctx.fillRect(left, bbox.top, width, bbox.height);
          ctx.globalAlpha = isAlert ? 1 : 0.45;
          ctx.fillRect(left, bbox.top, width, (isAlert ? 3 : 2) * devicePixelRatio);
        }
        ctx.restore();
      },
    },
  };
}

export function columnsOf({ chart, data }: Plotted['current']): uPlot.AlignedData {
  return [data.steps.map(({ time }) => time), ...chart.curves.map(({ value }) => data.steps.map(value))];
}

/** `onPoint` receives the index of the step at the cursor, or null. */
export function createPlot(plotted: Plotted, element: HTMLElement, onPoint: (index: number | null) => void): uPlot {
  const { chart } = plotted.current;
  const grid = { stroke: colour('--hairline'), width: 1 };
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colour('--muted'), grid, font, ticks: { show: false } };
  return new uPlot(
    {
      width: element.clientWidth,
      height: chart.height,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: SYNC.key },
        points: { show: chart.points, size: 7 },
      },
      scales: {
        // The requested range, even if the data covers less.
        x: { time: true, range: () => [plotted.current.data.from, plotted.current.data.to] },
        y: { range: (_plot, _low, high) => [0, chart.top(high)] },
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
          values: (_plot, splits) => timeLabels(splits, plotted.current.data.to - plotted.current.data.from),
        },
        {
          ...axis,
          size: 58,
          space: 34,
          ...chart.axis,
          values: (_plot, splits) => splits.map(chart.value),
        },
      ],
      series: [{}, ...chart.curves.map(({ style }) => style(colour))],
      plugins: [bands(plotted)],
      hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
    },
    columnsOf(plotted.current),
    element,
  );
}
