// One chart of a history, with its legend and a read-out of the step at the cursor.
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import { clock } from '../data/live.ts';
import { shortMoment } from '../format.ts';
import { type Step, total } from '../history.ts';
import { onTheme } from '../theme.ts';
import { columnsOf, createPlot, type Plotted } from './history-plot.ts';
import './history.css';

/** The step and the marks that overlap it, in words. */
function readoutText({ chart, data, marks }: Plotted['current'], step: Step): string {
  const begin = (step.time - data.step / 2) * 1000;
  const end = begin + data.step * 1000;
  const when = `${shortMoment(begin, clock.now())} to ${shortMoment(end, begin)}`;
  const labels = [...new Set(marks.filter(({ from, to }) => from < end && to > begin).map(({ label }) => label))];
  const what = step.all > 0 ? chart.step(step) : 'no invocations';
  return [`${when}: ${what}`, ...labels].join(' · ');
}

export function HistoryChart(props: Plotted['current']) {
  const container = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const plotted = useRef(props);
  plotted.current = props;

  useEffect(() => {
    const element = container.current;
    if (!element) return;
    const showReadout = (index: number | null) => {
      if (!readout.current) return;
      const step = index === null ? undefined : plotted.current.data.steps[index];
      readout.current.textContent = step ? readoutText(plotted.current, step) : '';
    };
    const build = () => {
      plot.current?.destroy();
      plot.current = createPlot(plotted, element, showReadout);
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

  const { chart, data, marks } = props;
  const any = total(data, ({ all }) => all) > 0;
  useEffect(() => {
    plot.current?.setData(columnsOf(plotted.current));
  }, [chart, data, marks]);

  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <strong>{chart.label}</strong>
        {chart.legend(data, marks).map(([kind, words]) => (
          <span key={kind} class={`key key-${kind}`}>
            {words}
          </span>
        ))}
        <span ref={readout} class="chart-readout quiet" aria-hidden="true" />
      </figcaption>
      <div
        ref={container}
        class="chart-canvas"
        style={{ height: `${chart.height}px` }}
        role="img"
        aria-label={`${chart.label}: ${any ? chart.summary(data) : 'no invocations'}`}
      />
    </figure>
  );
}
