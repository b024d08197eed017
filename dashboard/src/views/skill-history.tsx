// The history panel of a skill: charts and a table of a time range, and the alerts and deviations in it.
import { useMemo, useState } from 'preact/hooks';
import type { Alert, AnomalyEpisode } from 'session-buddy-client';
import { HistoryChart } from '../charts/history.tsx';
import { CHARTS } from '../charts/history-charts.ts';
import { HistoryTable } from '../charts/history-table.tsx';
import { listAlerts } from '../data/alerts.ts';
import { api, clock } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { deviationText } from '../deviations.ts';
import { absolute, count, moment, plural, span } from '../format.ts';
import { historyData, total } from '../history.ts';
import { endOfHistory } from '../idle.ts';
import { marksOf } from '../marks.ts';
import { bounds, DAY, RANGES } from '../ranges.ts';
import { AlertLines } from './alert-list.tsx';
import { PlainTable, type TextColumn } from './plain-table.tsx';
import { Nothing, Panel, Problem } from './ui.tsx';
import './skill-history.css';

const NO_ALERTS: Alert[] = [];
const NO_DEVIATIONS: AnomalyEpisode[] = [];
/** Alerts listed below the charts. */
const MAX_LINES = 20;

const DEVIATION_COLUMNS: TextColumn<AnomalyEpisode>[] = [
  { label: 'From', text: ({ detected_at }) => absolute(moment(detected_at) ?? 0).slice(0, 16) },
  { label: 'Deviation', text: deviationText },
  {
    label: 'Length',
    text: ({ detected_at, resolved_at }) =>
      resolved_at === null ? 'open' : span(((moment(resolved_at) ?? 0) - (moment(detected_at) ?? 0)) / 1000),
  },
];

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
  const [deviationsOpen, setDeviationsOpen] = useState(false);
  // The key has the length of the range, not its ends, so that the charts stay when the range moves on.
  const end = endOfHistory(lastAt ?? null, clock.now());
  const query = () => ({ skill_name: skillName, ...bounds(range, end ?? clock.now()) });
  const rangeKey = lastAt === undefined ? null : `${range.id} ${end ?? ''}`;
  const series = usePoll(rangeKey && `series ${rangeKey}`, (signal) =>
    api.series({ ...query(), step: range.step }, { signal }),
  );
  const alerts = usePoll(rangeKey && `alerts ${rangeKey}`, (signal) => listAlerts({ ...query(), limit: 200 }, signal));
  const deviations = usePoll(rangeKey && `anomalies ${rangeKey}`, (signal) =>
    api.anomalies({ ...query(), limit: 200 }, { signal }),
  );

  const data = useMemo(
    () => (series.data ? historyData(series.data, areUpperBounds) : null),
    [series.data, areUpperBounds],
  );
  const alertList = (alerts.data !== 'unsupported' && alerts.data?.alerts) || NO_ALERTS;
  const deviationList = deviations.data?.anomalies ?? NO_DEVIATIONS;
  const marks = useMemo(() => marksOf(alertList, deviationList), [alertList, deviationList]);

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
            <HistoryChart key={chart.label} chart={chart} data={data} marks={marks} />
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
      <div class="alerts-of-skill">
        <h3>Alerts in this time range</h3>
        {alertList.length === 0 ? (
          <Nothing polled={alerts} />
        ) : (
          <div class={alerts.current ? '' : 'waiting'}>
            <AlertLines alerts={alertList.slice(0, MAX_LINES)} />
          </div>
        )}
        {alertList.length > MAX_LINES && <p class="quiet">and {count(alertList.length - MAX_LINES)} earlier</p>}
        {deviationList.length > 0 && (
          <details class="as-table" onToggle={(event) => setDeviationsOpen(event.currentTarget.open)}>
            <summary>Deviations ({count(deviations.data?.total ?? 0)})</summary>
            {deviationsOpen && (
              <PlainTable
                caption="Deviations from the baseline, newest first"
                columns={DEVIATION_COLUMNS}
                rows={deviationList}
                keyOf={({ detected_at, anomaly_type }) => `${detected_at} ${anomaly_type}`}
              />
            )}
          </details>
        )}
      </div>
    </Panel>
  );
}
