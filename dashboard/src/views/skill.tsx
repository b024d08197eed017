// The page of one skill: metrics, history, anomalies, errors and phases.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type AnomalyEpisode, ApiError } from 'session-buddy-client';
import { HistoryChart, HistoryTable } from '../charts/history.tsx';
import { RateBar } from '../charts/rate-bar.tsx';
import { api, clock, live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { between, count, duration, moment, NONE, percent, plural } from '../format.ts';
import { historyData } from '../history.ts';
import { endOfHistory } from '../idle.ts';
import { bounds, DAY, RANGES } from '../ranges.ts';
import { liveSkills, rowOfLive, rowOfSummary } from '../rows.ts';
import { AnomalyCard } from './anomalies.tsx';
import { Episode, episodeKey } from './episodes.tsx';
import { Ago, Icon, Name, Panel, Problem, useWindow } from './ui.tsx';

const NO_EPISODES: AnomalyEpisode[] = [];

/** `lastAt` is the last invocation of the skill: null without any, undefined while unknown. */
function History({ skillName, lastAt }: { skillName: string; lastAt: number | null | undefined }) {
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

  const data = useMemo(() => (series.data ? historyData(series.data) : null), [series.data]);
  const shown = series.data && data ? { data, series: series.data } : null;
  const list = episodes.data?.anomalies ?? NO_EPISODES;
  const invocations = data ? data.all.reduce((sum, each) => sum + each, 0) : 0;

  return (
    <Panel
      id="history"
      title={end === null ? 'History' : 'History up to the last invocation'}
      class="history"
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
      {shown ? (
        <div class={`charts${series.current ? '' : ' waiting'}`} aria-busy={!series.current}>
          {(
            [
              ['invocations', 'Invocations'],
              ['rate', 'Success rate'],
              ['durations', 'Duration'],
            ] as const
          ).map(([chart, label]) => (
            <HistoryChart
              key={chart}
              chart={chart}
              label={label}
              data={shown.data}
              step={shown.series.step_seconds}
              from={(moment(shown.series.from) ?? 0) / 1000}
              to={(moment(shown.series.to) ?? 0) / 1000}
              episodes={list}
            />
          ))}
          <details class="as-table" onToggle={(event) => setTableOpen(event.currentTarget.open)}>
            <summary>As a table ({plural(invocations, 'invocation')})</summary>
            {tableOpen && <HistoryTable data={shown.data} step={shown.series.step_seconds} />}
          </details>
        </div>
      ) : (
        !series.error && (
          <div class="charts charts-waiting">
            <p class="nothing">Loading the history.</p>
          </div>
        )
      )}
      {series.error && <Problem what={shown ? 'Not up to date:' : 'No history:'} error={series.error} />}
      <div class="episodes-of-skill">
        <h3>Anomalies in this time range</h3>
        {list.length === 0 ? (
          <p class="nothing">{episodes.data ? 'None.' : episodes.error ? 'Unknown.' : 'Loading.'}</p>
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

export function SkillPage({ skillName }: { skillName: string }) {
  const { data, error, refresh } = usePoll(`skill ${skillName}`, (signal) => api.skill(skillName, { signal }));
  const update = useStore(live, (state) => state.update);
  const anomalies = useStore(live, (state) => state.anomalies);
  const windowLength = useWindow();
  const skill = liveSkills(update, data?.at).find((each) => each.skill_name === skillName) ?? null;
  const skillAnomalies = useMemo(
    () => anomalies.filter((each) => each.anomaly.skill_name === skillName),
    [anomalies, skillName],
  );

  // After a new invocation the errors, phases and lifetime metrics have changed, too.
  const lastAt = skill?.last_invocation_at;
  useEffect(() => {
    if (lastAt) refresh();
  }, [lastAt, refresh]);

  const row = skill ? rowOfLive(skill, data) : data ? rowOfSummary(data) : null;
  const unknown = error instanceof ApiError && error.code === 'unknown_skill' && !skill;

  return (
    <div class="skill-page">
      <p class="back">
        <a href="#/">
          <Icon name="back" /> All skills
        </a>
      </p>
      <h1 tabIndex={-1}>
        <Name name={skillName} />
      </h1>
      {unknown ? (
        <section class="panel empty" data-testid="unknown-skill">
          <h2>Unknown skill</h2>
          <p>
            No invocations are recorded under this name. They may have been pruned, or the link is for another server.
          </p>
        </section>
      ) : (
        <>
          <dl class="summary" data-testid="summary">
            <div class="metric">
              <dt>Invocations, last {windowLength}</dt>
              <dd class="metric-value">{row ? count(row.invocations) : NONE}</dd>
              <dd class="metric-note">{row ? `${count(row.invocations - row.completed)} failed` : ' '}</dd>
            </div>
            <div class="metric">
              <dt>Success rate</dt>
              <dd class="metric-value">{percent(row?.rate ?? null)}</dd>
              <dd class="metric-note">
                {row && row.rate !== null && row.low !== null && row.high !== null ? (
                  <>
                    <RateBar rate={row.rate} low={row.low} high={row.high} />
                    {between(row.low, row.high)}
                  </>
                ) : (
                  ' '
                )}
              </dd>
            </div>
            <div class="metric">
              <dt>Mean duration</dt>
              <dd class="metric-value">{duration(row?.avgDuration ?? null)}</dd>
              <dd class="metric-note">of completed invocations</dd>
            </div>
            <div class="metric">
              <dt>Last used</dt>
              <dd class="metric-value metric-value-text">
                <Ago at={row?.lastAt ?? null} />
              </dd>
              <dd class="metric-note">
                {data?.first_invocation_at ? (
                  <>
                    first <Ago at={moment(data.first_invocation_at)} />
                  </>
                ) : (
                  ' '
                )}
              </dd>
            </div>
            <div class="metric">
              <dt>Lifetime</dt>
              <dd class="metric-value">
                {data ? count(Math.max(data.lifetime.total_invocations, row?.invocations ?? 0)) : NONE}
              </dd>
              <dd class="metric-note">
                {data
                  ? `${percent(data.lifetime.completion_rate)} completed, ${duration(data.lifetime.avg_duration_seconds)} on average`
                  : ' '}
              </dd>
            </div>
          </dl>
          {skillAnomalies.length > 0 && (
            <section class="anomalies" aria-label="Anomalies now" data-testid="anomalies">
              <ul class="anomaly-list">
                {skillAnomalies.map((tracked) => (
                  <AnomalyCard key={tracked.key} tracked={tracked} link={false} />
                ))}
              </ul>
            </section>
          )}
          {error && <Problem what={data ? 'Not up to date:' : 'Live metrics only:'} error={error} />}
          <History skillName={skillName} lastAt={row ? row.lastAt : error ? null : undefined} />
          <div class="skill-tables">
            <Panel id="errors" title={`Errors, last ${windowLength}`}>
              {data && data.errors.length > 0 ? (
                <table class="plain-table">
                  <caption class="visually-hidden">Failed invocations by error type</caption>
                  <thead>
                    <tr>
                      <th scope="col">Error</th>
                      <th scope="col" class="number">
                        Invocations
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {data.errors.map((each) => (
                      <tr key={each.error_type}>
                        <th scope="row">
                          <Name name={each.error_type} />
                        </th>
                        <td class="number">{count(each.count)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              ) : (
                <p class="nothing">{data ? 'None.' : error ? 'Unknown.' : 'Loading.'}</p>
              )}
            </Panel>
            <Panel id="phases" title={`Phases, last ${windowLength}`}>
              {data && data.phases.length > 0 ? (
                <table class="plain-table">
                  <caption class="visually-hidden">Invocations by workflow phase</caption>
                  <thead>
                    <tr>
                      <th scope="col">Phase</th>
                      <th scope="col" class="number">
                        Invocations
                      </th>
                      <th scope="col" class="number">
                        Success rate
                      </th>
                      <th scope="col" class="number">
                        Mean duration
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {data.phases.map((phase) => (
                      <tr key={phase.workflow_phase ?? ''}>
                        <th scope="row">
                          {phase.workflow_phase === null ? (
                            <span class="quiet">none</span>
                          ) : (
                            <Name name={phase.workflow_phase} />
                          )}
                        </th>
                        <td class="number">{count(phase.invocation_count)}</td>
                        <td class="number">{percent(phase.completion_rate)}</td>
                        <td class="number">{duration(phase.avg_duration)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              ) : (
                <p class="nothing">{data ? 'None.' : error ? 'Unknown.' : 'Loading.'}</p>
              )}
            </Panel>
          </div>
        </>
      )}
    </div>
  );
}
