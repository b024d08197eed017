// The page of one skill: metrics, alerts, history, errors and phases.
import { useEffect } from 'preact/hooks';
import { ApiError, type LifetimeMetrics, type PhaseMetrics, type SkillDetail } from 'session-buddy-client';
import { kindOfAlert } from '../alerts.ts';
import { ask, listIn, useAlerts, useMutes } from '../data/alerts.ts';
import { api, live } from '../data/live.ts';
import { type Polled, usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { useWindow } from '../data/window.ts';
import { deviationText, kindOf } from '../deviations.ts';
import { areBounds } from '../durations.ts';
import { count, duration, moment, NONE, percent } from '../format.ts';
import { liveSkills, rowOfLive, rowOfSummary } from '../rows.ts';
import { AlertCards, useAlertsOff } from './alerts.tsx';
import { METRICS } from './metrics.tsx';
import { MuteState } from './mutes.tsx';
import { PlainTable, type TableProps, type TextColumn } from './plain-table.tsx';
import { History } from './skill-history.tsx';
import { Tile } from './tile.tsx';
import { Icon, Name, Nothing, Panel, Problem } from './ui.tsx';
import './skill.css';

const ERROR_COLUMNS: TextColumn<SkillDetail['errors'][number]>[] = [
  { label: 'Error', text: (each) => <Name name={each.error_type} /> },
  { label: 'Invocations', text: (each) => count(each.count) },
];

/** The phase, and the shown metrics that the API reports for phases; no mean of durations that are upper bounds. */
function phaseColumns(phases: readonly PhaseMetrics[], bounds: boolean): TextColumn<PhaseMetrics>[] {
  const phase: TextColumn<PhaseMetrics> = {
    label: 'Phase',
    text: ({ workflow_phase: name }) => (name === null ? <span class="quiet">none</span> : <Name name={name} />),
  };
  const unknown: TextColumn<PhaseMetrics> = { label: 'Unknown', text: (each) => count(each.unknown_count) };
  const [first, ...others] = METRICS.filter(
    ({ sort }) => phases.some((each) => sort in each) && !(bounds && sort === 'avg_duration'),
  );
  return [
    phase,
    ...(first ? [first] : []),
    ...(phases.some(({ unknown_count }) => unknown_count > 0) ? [unknown] : []),
    ...others,
  ];
}

/** `bounds` if the durations of the window are upper bounds: the mean of all time is then one of waits, too. */
function lifetimeNote(lifetime: LifetimeMetrics, bounds: boolean): string {
  const { completion_rate, unknown_invocations, avg_duration_seconds } = lifetime;
  return [
    ...(completion_rate === null ? [] : [`${percent(completion_rate)} completed`]),
    ...(unknown_invocations > 0 ? [`${count(unknown_invocations)} unknown`] : []),
    ...(bounds ? [] : [`${duration(avg_duration_seconds)} on average`]),
  ].join(', ');
}

type PanelProps<Row> = TableProps<Row> & { id: string; title: string; polled: Polled<unknown> };

function TablePanel<Row>({ id, title, polled, ...table }: PanelProps<Row>) {
  return (
    <Panel id={id} title={title}>
      {table.rows.length > 0 ? <PlainTable {...table} /> : <Nothing polled={polled} />}
    </Panel>
  );
}

/** The open alerts of the skill, whether it is muted, and its deviations that no alert explains. */
function SkillAlerts({ skillName }: { skillName: string }) {
  const alerts = useAlerts().filter((alert) => alert.skill_name === skillName && alert.ended_at === null);
  const mute = useMutes().find((each) => each.skill_name === skillName);
  const supported = useStore(live, (state) => listIn(state) !== null);
  const off = useAlertsOff();
  const anomalies = useStore(live, (state) => state.update?.data.anomalies);
  const explained = new Set(alerts.map((alert) => kindOfAlert(alert).icon));
  const deviations = (anomalies ?? []).filter((each) => each.skill_name === skillName && !explained.has(kindOf(each)));
  return (
    <section class="alerts" aria-labelledby="alerts-title" data-testid="alerts">
      <div class="panel-head">
        <h2 id="alerts-title" tabIndex={-1}>
          Alerts
        </h2>
        {mute ? (
          <span class="mute">
            <MuteState mute={mute} />
          </span>
        ) : (
          supported && (
            <button
              type="button"
              class="button"
              aria-haspopup="dialog"
              onClick={() => ask({ what: 'mute', skillName })}
            >
              Mute…
            </button>
          )
        )}
      </div>
      {alerts.length > 0 ? <AlertCards alerts={alerts} link={false} /> : <p class="calm">{off ?? 'No open alert.'}</p>}
      {deviations.map((each) => (
        <p key={each.anomaly_type} class="quiet" data-testid="deviation">
          Deviation now: {deviationText(each)}
        </p>
      ))}
    </section>
  );
}

export function SkillPage({ skillName }: { skillName: string }) {
  const polled = usePoll(`skill ${skillName}`, (signal) => api.skill(skillName, { signal }));
  const { data, error, refresh } = polled;
  const update = useStore(live, (state) => state.update);
  const windowLength = useWindow();
  const skill = liveSkills(update, data?.at).find((each) => each.skill_name === skillName) ?? null;
  // After a new invocation the errors, phases and lifetime metrics have changed, too.
  const lastAt = skill?.last_invocation_at;
  useEffect(() => {
    if (lastAt) refresh();
  }, [lastAt, refresh]);

  const row = skill ? rowOfLive(skill, data) : data ? rowOfSummary(data) : null;
  const bounds = row !== null && areBounds(row);
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
            {METRICS.map(
              ({ sort, label, text, tile }) =>
                tile && (
                  <Tile
                    key={sort}
                    label={tile.label?.(windowLength, row) ?? label}
                    value={row ? (tile.value ?? text)(row) : NONE}
                    note={tile.note(row, data)}
                    isText={tile.isText?.(row)}
                  />
                ),
            )}
            <Tile
              label="Lifetime"
              value={data ? count(Math.max(data.lifetime.total_invocations, row?.invocation_count ?? 0)) : NONE}
              note={data && lifetimeNote(data.lifetime, bounds)}
            />
          </dl>
          <SkillAlerts skillName={skillName} />
          {error && <Problem what={data ? 'Not up to date:' : 'Live metrics only:'} error={error} />}
          <History
            skillName={skillName}
            lastAt={row ? moment(row.last_invocation_at) : error ? null : undefined}
            areUpperBounds={bounds}
          />
          <div class="skill-tables">
            <TablePanel
              id="errors"
              title={`Errors, last ${windowLength}`}
              polled={polled}
              caption="Failed invocations by error type"
              columns={ERROR_COLUMNS}
              rows={data?.errors ?? []}
              keyOf={(each) => each.error_type}
            />
            <TablePanel
              id="phases"
              title={`Phases, last ${windowLength}`}
              polled={polled}
              caption="Invocations by workflow phase"
              columns={phaseColumns(data?.phases ?? [], bounds)}
              rows={data?.phases ?? []}
              keyOf={(phase) => phase.workflow_phase ?? ''}
            />
          </div>
        </>
      )}
    </div>
  );
}
