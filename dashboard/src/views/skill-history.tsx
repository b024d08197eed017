// The history panel of a skill: charts and a table of a time range, and the anomalies in it.
import { useMemo, useState } from 'preact/hooks';
import type { AnomalyEpisode } from 'session-buddy-client';
import { HistoryChart } from '../charts/history.tsx';
import { CHARTS } from '../charts/history-charts.ts';
import { HistoryTable } from '../charts/history-table.tsx';
import { api, clock } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { count, plural } from '../format.ts';
import { historyData, total } from '../history.ts';
import { endOfHistory } from '../idle.ts';
import { bounds, DAY, RANGES } from '../ranges.ts';
import { Episode, episodeKey } from './episodes.tsx';
import { Nothing, Panel, Problem } from './ui.tsx';
import './skill-history.css';

const NO_EPISODES: AnomalyEpisode[] = [];

interface HistoryProps {
  skillName: string;
  /** The last invocation of the skill: null without any, undefined while unknown. */
  lastAt: number | null | undefined;
  /** Whether the durations of the window are upper bounds. */
  areUpperBounds: boolean;
}

export function History({ skillName, lastAt, areUpperBounds }: HistoryProps) {
  const [range, setRange] = useState(DAY);
  const [tableOpen, setTableOpen] = useState(false);
  // The key has the length of the range, not its ends, so that the charts stay when the range moves on.
  const end = endOfHistory(lastAt ?? null, clock.now());
  const query = () => ({ skill_name: skillName, ...bounds(range, end ?? clock.now()) });
  const rangeKey = lastAt === undefined ? null : `${range.id} ${end ?? ''}`;
  const series = usePoll(rangeKey && `series ${rangeKey}`, (signal) =>
    api.series({ ...query(), step: range.step }, { signal }),
  );
  const episodes = usePoll(rangeKey && `anomalies ${rangeKey}`, (signal) =>
    api.anomalies({ ...query(), limit: 200 }, { signal }),
  );

  const data = useMemo(
    () => (series.data ? historyData(series.data, areUpperBounds) : null),
    [series.data, areUpperBounds],
  );
  const list = episodes.data?.anomalies ?? NO_EPISODES;

  return (
    <Panel
      id="history"
      title={end === null ? 'History' : 'History up to the last invocation'}
      aside={
        <fieldset class="segmented">
          <legend class="visually-hidden">Time range</legend>
          {RANGES.map((each) => (
            <label key={each.id}>
              <input
                type="radio"
                name="range"
                value={each.id}
                checked={each.id === range.id}
                onChange={() => setRange(each)}
              />
              <span>{each.label}</span>
            </label>
          ))}
        </fieldset>
      }
    >
      {data ? (
        <div class={`charts${series.current ? '' : ' waiting'}`} aria-busy={!series.current}>
          {CHARTS.map((chart) => (
            <HistoryChart key={chart.label} chart={chart} data={data} episodes={list} />
          ))}
          <details class="as-table" onToggle={(event) => setTableOpen(event.currentTarget.open)}>
            <summary>
              As a table (
              {plural(
                total(data, ({ all }) => all),
                'invocation',
              )}
              )
            </summary>
            {tableOpen && <HistoryTable data={data} />}
          </details>
        </div>
      ) : (
        !series.error && (
          <div class="charts charts-waiting">
            <p class="nothing">Loading the history.</p>
          </div>
        )
      )}
      {series.error && <Problem what={data ? 'Not up to date:' : 'No history:'} error={series.error} />}
      <div class="episodes-of-skill">
        <h3>Anomalies in this time range</h3>
        {list.length === 0 ? (
          <Nothing polled={episodes} />
        ) : (
          <ul class={`list${episodes.current ? '' : ' waiting'}`}>
            {list.slice(0, 20).map((episode) => (
              <Episode key={episodeKey(episode)} episode={episode} link={false} />
            ))}
          </ul>
        )}
        {list.length > 20 && <p class="quiet">and {count((episodes.data?.total ?? list.length) - 20)} earlier</p>}
      </div>
    </Panel>
  );
}
