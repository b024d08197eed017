// The open anomalies, largest deviation first.
import { KIND_LABELS, kindOf, valueTexts } from '../anomaly.ts';
import type { TrackedAnomaly } from '../anomaly-tracker.ts';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { useIdle, useWindow } from '../data/window.ts';
import { deviation, moment, plural } from '../format.ts';
import { skillHref } from '../route.ts';
import { Ago, Icon, KindIcon, Name } from './ui.tsx';
import './anomalies.css';

export function AnomalyCard({ tracked, link }: { tracked: TrackedAnomaly; link: boolean }) {
  const { anomaly, fading } = tracked;
  const kind = kindOf(anomaly);
  const [baseline, observed] = valueTexts(anomaly);
  const { details } = anomaly;
  return (
    <li class={`anomaly kind-${kind}${fading ? ' fading' : ''}`} data-testid="anomaly">
      <div class="anomaly-head">
        <KindIcon kind={kind} />
        <span class="anomaly-kind">{KIND_LABELS[kind]}</span>
        <span class="score" title="Deviation from the baseline, in standard deviations">
          {deviation(anomaly.deviation_score)}
        </span>
      </div>
      {link && (
        <a class="anomaly-skill" href={skillHref(anomaly.skill_name)}>
          <Name name={anomaly.skill_name} />
        </a>
      )}
      <p class="anomaly-values">
        <span class="visually-hidden">from </span>
        <span class="baseline">{baseline}</span>
        <span class="arrow" aria-hidden="true">
          →
        </span>
        <span class="visually-hidden"> to </span>
        <span class="observed">{observed}</span>
      </p>
      {details && (
        <p class="anomaly-since">
          {fading ? (
            'back below the threshold'
          ) : (
            <>
              since <Ago at={moment(details.since)} />
            </>
          )}
          <span class="quiet">
            {' · '}
            {plural(details.observed_samples, 'invocation')} vs. {details.baseline_samples}
          </span>
        </p>
      )}
      {details && details.common_errors.length > 0 && (
        <ul class="chips" aria-label="Most common errors">
          {details.common_errors.map((error) => (
            <li key={error.error_type} class="chip">
              <Name name={error.error_type} /> <span class="quiet">×{error.count}</span>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

export function Anomalies() {
  const anomalies = useStore(live, (state) => state.anomalies);
  const known = useStore(live, (state) => state.update !== null);
  const idle = useIdle();
  const windowLength = useWindow();
  return (
    <section class="anomalies" aria-labelledby="anomalies-title" data-testid="anomalies">
      <div class="panel-head">
        <h2 id="anomalies-title">
          Anomalies{' '}
          {anomalies.length > 0 && (
            <span class="badge">
              {anomalies.length}
              <span class="visually-hidden"> open</span>
            </span>
          )}
        </h2>
      </div>
      {anomalies.length > 0 ? (
        <ul class="anomaly-list">
          {anomalies.map((tracked) => (
            <AnomalyCard key={tracked.key} tracked={tracked} link />
          ))}
        </ul>
      ) : (
        <p class="calm">
          {idle !== null ? (
            <>
              Nothing to evaluate in the last {windowLength}: no skill was used. <code>session-buddy backtest</code>{' '}
              evaluates recorded history.
            </>
          ) : known ? (
            <>
              <Icon name="check" /> Nothing unusual: no skill deviates from its baseline.
            </>
          ) : (
            'Waiting for the first data.'
          )}
        </p>
      )}
    </section>
  );
}
