// The alerts: a card for each open one, what explains it, and the buttons to acknowledge and mute.
import type { ComponentChildren } from 'preact';
import type { Alert, AlertLevel } from 'session-buddy-client';
import {
  alertKey,
  bySignificance,
  chanceText,
  intervalText,
  isActive,
  kindOfAlert,
  levelTexts,
  sessionsText,
  sinceText,
  stateText,
} from '../alerts.ts';
import { ask, useAlerts } from '../data/alerts.ts';
import { clock, live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { useIdle, useWindow } from '../data/window.ts';
import { count, percent } from '../format.ts';
import { skillHref } from '../route.ts';
import { HelpLink } from './help.tsx';
import { MutedSkills } from './mutes.tsx';
import { Icon, KindIcon, Name } from './ui.tsx';
import './alerts.css';

const CHANCE_MEANING =
  'If nothing had changed, evidence as strong as this would occur this rarely by chance, in all skills together.';

/** Cards of open alerts that are not folded. */
const MAX_CARDS = 8;

function Level({ which, alert, level, text }: { which: 'from' | 'to'; alert: Alert; level: AlertLevel; text: string }) {
  return (
    <span class={`level level-${which}`}>
      <span class="visually-hidden">{which} </span>
      <span class="level-value">{text}</span> <span class="level-interval">{intervalText(alert, level)}</span>
    </span>
  );
}

/** When, from what to what, how improbable, which errors, and in which sessions. */
export function Explanation({ alert }: { alert: Alert }) {
  const [before, after] = levelTexts(alert);
  const chance = chanceText(alert);
  const failures = alert.failures_in_a_row > 1 ? `${count(alert.failures_in_a_row)} failures in a row` : '';
  const sessions = sessionsText(alert);
  return (
    <>
      <p class="levels">
        <Level which="from" alert={alert} level={alert.before} text={before} />
        <span class="arrow" aria-hidden="true">
          →
        </span>
        <Level which="to" alert={alert} level={alert.after} text={after} />
      </p>
      {alert.kind === 'silence' && <p class="quiet">Longest usual pause, and the present one.</p>}
      <p class="alert-fact">{sinceText(alert, clock.now())}</p>
      {(failures || chance) && (
        <p class="alert-fact">
          {failures}
          {failures && chance && ' · '}
          {chance && <HelpLink title={CHANCE_MEANING}>{chance}</HelpLink>}
        </p>
      )}
      {sessions && (
        <p class="alert-fact">
          {alert.session_id === null ? (
            `In ${sessions}`
          ) : (
            <>
              {percent(alert.session_share)} of it in session <Name name={alert.session_id} />, of {sessions}
            </>
          )}
        </p>
      )}
      {alert.errors.length > 0 && (
        <ul class="chips" aria-label="Errors that increased">
          {alert.errors.map(({ error_type, before, after, count: times }) => (
            <li key={error_type} class="chip">
              <Name name={error_type} /> {percent(before)} → {percent(after)} <span class="quiet">×{count(times)}</span>
            </li>
          ))}
        </ul>
      )}
      {alert.note && (
        <p class="alert-fact wrapped">
          Note: <Name name={alert.note} />
        </p>
      )}
    </>
  );
}

/** On the page of the skill its mute is next to the heading. */
function Actions({ alert, mutes }: { alert: Alert; mutes: boolean }) {
  const { id, skill_name: skillName, acknowledged_at, muted } = alert;
  return (
    <p class="alert-actions">
      {id !== null && (
        <button
          type="button"
          class="button"
          aria-haspopup="dialog"
          onClick={() => ask({ what: 'acknowledge', id, skillName })}
        >
          {acknowledged_at === null ? 'Acknowledge…' : 'Change note…'}
        </button>
      )}
      {mutes && !muted && (
        <button type="button" class="button" aria-haspopup="dialog" onClick={() => ask({ what: 'mute', skillName })}>
          Mute skill…
        </button>
      )}
    </p>
  );
}

export function AlertCard({ alert, link }: { alert: Alert; link: boolean }) {
  const { icon, label } = kindOfAlert(alert);
  return (
    <li class={`alert kind-${icon}${isActive(alert) ? '' : ' alert-quiet'}`} data-testid="alert">
      <div class="alert-head">
        <KindIcon kind={icon} />
        <span class="alert-kind">{label}</span>
        {!isActive(alert) && <span class="chip">{stateText(alert)}</span>}
      </div>
      {link && (
        <a class="alert-skill" href={skillHref(alert.skill_name)}>
          <Name name={alert.skill_name} />
        </a>
      )}
      <Explanation alert={alert} />
      <Actions alert={alert} mutes={link} />
    </li>
  );
}

export function AlertCards({ alerts, link }: { alerts: readonly Alert[]; link: boolean }) {
  return (
    <ul class="alert-cards">
      {alerts.map((alert) => (
        <AlertCard key={alertKey(alert)} alert={alert} link={link} />
      ))}
    </ul>
  );
}

/** Why there are no alerts at all; null if the server has them. */
export function useAlertsOff(): ComponentChildren {
  const unsupported = useStore(live, (state) => state.alertList === 'unsupported' && state.alerts === null);
  const off = useStore(live, (state) => state.alertList !== 'unsupported' && state.alertList?.budget === 'off');
  if (unsupported) return 'This server has no alerts.';
  return off ? (
    <>
      Alerts are off (<code>alert_budget</code>).
    </>
  ) : null;
}

function Calm() {
  const known = useStore(live, (state) => state.update !== null || state.alertList !== null);
  const off = useAlertsOff();
  const idle = useIdle();
  const windowLength = useWindow();
  if (off) return <>{off} The table of the skills marks deviations from the baseline.</>;
  if (idle !== null) {
    return (
      <>
        Nothing to evaluate in the last {windowLength}: no skill was used. <code>session-buddy backtest</code> evaluates
        recorded history.
      </>
    );
  }
  return known ? (
    <>
      <Icon name="check" /> No alert: no skill has changed for the worse.
    </>
  ) : (
    <>Waiting for the first data.</>
  );
}

function MoreAlerts({ label, alerts }: { label: string; alerts: readonly Alert[] }) {
  if (alerts.length === 0) return null;
  return (
    <details class="alerts-more">
      <summary>
        {label} ({alerts.length})
      </summary>
      <AlertCards alerts={alerts} link />
    </details>
  );
}

export function Alerts() {
  const alerts = useAlerts();
  const active = alerts.filter(isActive).sort(bySignificance);
  const quiet = alerts.filter((alert) => alert.ended_at === null && !isActive(alert));
  return (
    <section class="alerts" aria-labelledby="alerts-title" data-testid="alerts">
      <div class="panel-head">
        <h2 id="alerts-title" tabIndex={-1}>
          Alerts{' '}
          {active.length > 0 && (
            <span class="badge">
              {active.length}
              <span class="visually-hidden"> open</span>
            </span>
          )}
        </h2>
      </div>
      {active.length > 0 ? (
        <AlertCards alerts={active.slice(0, MAX_CARDS)} link />
      ) : (
        <p class="calm">
          <Calm />
        </p>
      )}
      <MoreAlerts label="More alerts" alerts={active.slice(MAX_CARDS)} />
      <MoreAlerts label="Acknowledged or muted" alerts={quiet} />
      <MutedSkills />
    </section>
  );
}
