// Lists of alerts, one line each, newest first: the latest of all skills, and those of one skill with what explains them.
import type { Alert } from 'session-buddy-client';
import { alertKey, isActive, kindOfAlert, levelTexts, stateText } from '../alerts.ts';
import { listIn } from '../data/alerts.ts';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { moment } from '../format.ts';
import { skillHref } from '../route.ts';
import { Explanation, useAlertsOff } from './alerts.tsx';
import { Ago, KindIcon, Name, Nothing, Panel, Problem } from './ui.tsx';
import './alert-list.css';

const LATEST = 10;

function Line({ alert, link }: { alert: Alert; link: boolean }) {
  const { icon, label } = kindOfAlert(alert);
  return (
    <div class="alert-line">
      <KindIcon kind={icon} />
      <div class="alert-line-text">
        <div class="list-head">
          {link ? (
            <a href={skillHref(alert.skill_name)}>
              <Name name={alert.skill_name} />
            </a>
          ) : (
            <span>{label}</span>
          )}
          <span class="list-when">
            {isActive(alert) ? <strong>ongoing</strong> : <Ago at={moment(alert.detected_at)} />}
          </span>
        </div>
        <div class="quiet">
          {link && `${label}, `}
          {levelTexts(alert).join(' → ')}
          {!isActive(alert) && ` · ${stateText(alert)}`}
        </div>
      </div>
    </div>
  );
}

/** The alerts of one skill; each opens to what explains it. */
export function AlertLines({ alerts }: { alerts: readonly Alert[] }) {
  return (
    <ul class="list">
      {alerts.map((alert) => (
        <li key={alertKey(alert)}>
          <details>
            <summary>
              <Line alert={alert} link={false} />
            </summary>
            <Explanation alert={alert} />
          </details>
        </li>
      ))}
    </ul>
  );
}

export function LatestChanges() {
  const alerts = useStore(live, listIn)?.alerts ?? null;
  const error = useStore(live, (state) => state.alertListError);
  const off = useAlertsOff();
  return (
    <Panel id="changes" title="Latest changes">
      {alerts && alerts.length > 0 ? (
        <ul class="list">
          {alerts.slice(0, LATEST).map((alert) => (
            <li key={alertKey(alert)}>
              <Line alert={alert} link />
            </li>
          ))}
        </ul>
      ) : off ? (
        <p class="nothing">{off}</p>
      ) : (
        <Nothing polled={{ data: alerts, error }} />
      )}
      {error && <Problem what={alerts ? 'Not up to date:' : 'No history:'} error={error} />}
    </Panel>
  );
}
