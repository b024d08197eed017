// The four key metrics of the server's window, and a sparkline of a day.
import { isActive } from '../alerts.ts';
import { Sparkline } from '../charts/sparkline.tsx';
import { alertsIn } from '../data/alerts.ts';
import { api, clock, type LiveState, live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { useIdle, useWindow } from '../data/window.ts';
import { between, count, NONE, percent, plural } from '../format.ts';
import { limitsSentence } from '../limits.ts';
import { outcomesOf, successRate } from '../outcomes.ts';
import { bounds, DAY } from '../ranges.ts';
import { isNewer } from '../rows.ts';
import { useAlertsOff } from './alerts.tsx';
import { OutcomeCounts } from './help.tsx';
import { Tile } from './tile.tsx';
import { Ago, Problem } from './ui.tsx';
import './summary.css';

/** From the WebSocket, unless it is stalled and the API has newer data. */
function sessionsNow({ update, sessions, server }: LiveState): number | null {
  const isLive = update === null || isNewer(update, server?.at);
  return (isLive ? sessions?.length : undefined) ?? server?.active_sessions ?? null;
}

export function Summary() {
  const idle = useIdle();
  const { data: series, error: noSeries } = usePoll(`series of all ${idle ?? ''}`, (signal) => {
    const { from, to } = bounds(DAY, idle ?? clock.now());
    return api.series({ from, to, step: DAY.step }, { signal });
  });
  const server = useStore(live, (state) => state.server);
  const error = useStore(live, (state) => state.serverError);
  const windowLength = useWindow();
  const sessions = useStore(live, sessionsNow);
  const off = useAlertsOff();
  const alerts = useStore(live, (state) => alertsIn(state)?.filter(isActive).length ?? null);

  const points = series?.points ?? [];
  const total = (idle === null ? server?.invocation_count : server?.lifetime.total_invocations) ?? 0;
  const completed = (idle === null ? server?.completed_count : server?.lifetime.completed_invocations) ?? 0;
  const unknown = (idle === null ? server?.unknown_count : server?.lifetime.unknown_invocations) ?? 0;
  const outcomes = outcomesOf(total, completed, unknown);
  const interval = successRate(outcomes);
  const limits = limitsSentence(server?.limits_reached ?? []);

  return (
    <div class="summary-part">
      {idle !== null && (
        <p class="calm idle" data-testid="idle">
          No invocation in the last {windowLength}; the last one was <Ago at={idle} />. Shown instead: all time, and the
          day up to that invocation.
        </p>
      )}
      <dl class="summary summary-overview" data-testid="summary">
        <Tile
          label={idle === null ? `Invocations, last ${windowLength}` : 'Invocations, all time'}
          value={server ? count(total) : NONE}
          note={server && <OutcomeCounts outcomes={outcomes} />}
        >
          <dd class="metric-chart">
            {points.length > 0 && (
              <Sparkline
                counts={{
                  invocation_count: points.map((point) => point.invocation_count),
                  completed_count: points.map((point) => point.completed_count),
                  unknown_count: points.map((point) => point.unknown_count),
                }}
                label={
                  idle === null ? 'Invocations of all skills' : 'Invocations of all skills, the day up to the last'
                }
              />
            )}
          </dd>
        </Tile>
        <Tile
          label={idle === null ? 'Success rate' : 'Success rate, all time'}
          value={interval ? percent(interval.rate) : unknown > 0 ? 'unknown' : NONE}
          isText={!interval && unknown > 0}
          note={interval && between(interval.low, interval.high)}
        />
        <Tile label="Active sessions" value={sessions === null ? NONE : count(sessions)} note="active now" />
        <Tile
          label="Skills"
          value={server ? count(server.skills) : NONE}
          note={alerts === null || off ? null : alerts === 0 ? 'no alert' : plural(alerts, 'alert')}
        />
      </dl>
      {limits && (
        <p class="calm limits" data-testid="limits">
          {limits}
        </p>
      )}
      {error ? (
        <Problem what={server ? 'The totals are not up to date:' : 'No totals:'} error={error} />
      ) : (
        noSeries && <Problem what="The invocations over the day are not up to date:" error={noSeries} />
      )}
    </div>
  );
}
