// The four figures that sum up the server's window, and a day in small.
import type { ComponentChildren } from 'preact';
import { Sparkline } from '../charts/sparkline.tsx';
import { api, clock, live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { between, count, NONE, percent } from '../format.ts';
import { bounds, DAY } from '../ranges.ts';
import { wilson } from '../wilson.ts';
import { useWindow } from './ui.tsx';

function Figure({
  label,
  value,
  note,
  children,
}: {
  label: string;
  value: string;
  note: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd class="figure-value">{value}</dd>
      <dd class="figure-note">{note}</dd>
      {children}
    </div>
  );
}

export function Summary() {
  const { data: series } = usePoll('series of all', (signal) => {
    const { from, to } = bounds(DAY, clock.now());
    return api.series({ from, to, step: DAY.step }, { signal });
  });
  const server = useStore(live, (state) => state.server);
  const windowLength = useWindow();
  const sessions = useStore(live, (state) => state.sessions?.length ?? state.server?.active_sessions ?? null);
  const anomalies = useStore(live, (state) =>
    state.update ? state.anomalies.filter((each) => !each.fading).length : null,
  );

  const points = series?.points ?? [];
  const all = points.map((point) => point.invocation_count);
  const completed = points.map((point) => point.completed_count);
  const total = server?.invocation_count ?? 0;
  const good = server?.completed_count ?? 0;
  const rate = wilson(good, total);

  return (
    <dl class="summary summary-overview" data-testid="summary">
      <Figure
        label={`Runs, last ${windowLength}`}
        value={server ? count(total) : NONE}
        note={server ? `${count(total - good)} failed` : ' '}
      >
        <dd class="figure-chart">
          {points.length > 0 && (
            <Sparkline counts={{ invocation_count: all, completed_count: completed }} label="Runs of all skills" />
          )}
        </dd>
      </Figure>
      <Figure
        label="Success rate"
        value={rate ? percent(good / total) : NONE}
        note={rate ? between(rate.low, rate.high) : ' '}
      />
      <Figure label="Active sessions" value={sessions === null ? NONE : count(sessions)} note="at work now" />
      <Figure
        label="Skills"
        value={server ? count(server.skills) : NONE}
        note={
          anomalies === null
            ? ' '
            : anomalies === 0
              ? 'none unusual'
              : `${anomalies} anomal${anomalies === 1 ? 'y' : 'ies'} now`
        }
      />
    </dl>
  );
}
