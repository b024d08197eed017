// Open and resolved anomalies, one line per episode, newest first.
import { useEffect } from 'preact/hooks';
import type { AnomalyEpisode } from 'session-buddy-client';
import { anomalyKey, KIND_LABELS, kindOf, valueTexts } from '../anomaly.ts';
import { api, live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { moment, span } from '../format.ts';
import { skillHref } from '../route.ts';
import { Ago, KindIcon, Name, Panel, Problem } from './ui.tsx';
import './episodes.css';

/** An episode that is not stored in the database yet has no id. */
export function episodeKey({ id, skill_name, anomaly_type, detected_at }: AnomalyEpisode): string {
  return id === null ? JSON.stringify([skill_name, anomaly_type, detected_at]) : String(id);
}

export function Episode({ episode, link }: { episode: AnomalyEpisode; link: boolean }) {
  const kind = kindOf(episode);
  const [baseline, observed] = valueTexts(episode);
  // Hysteresis: the server ends an episode well below the threshold, after the broadcasts stop listing the anomaly.
  const key = anomalyKey(episode);
  const eased = useStore(
    live,
    ({ connection, update, anomalies }) =>
      // Unknown without a live connection.
      connection.status === 'open' && update !== null && !anomalies.some((each) => each.key === key && !each.fading),
  );
  const began = moment(episode.detected_at);
  const ended = moment(episode.resolved_at);
  return (
    <li class="episode">
      <KindIcon kind={kind} />
      <div class="episode-text">
        <div class="list-head">
          {link ? (
            <a href={skillHref(episode.skill_name)}>
              <Name name={episode.skill_name} />
            </a>
          ) : (
            <span>{KIND_LABELS[kind]}</span>
          )}
          <span class="list-when">
            {ended === null ? <strong>{eased ? 'easing' : 'ongoing'}</strong> : <Ago at={began} />}
          </span>
        </div>
        <div class="quiet">
          {link && `${KIND_LABELS[kind]}, `}
          {baseline} → {observed}
          {ended !== null && began !== null && ` · ${span((ended - began) / 1000)}`}
        </div>
      </div>
    </li>
  );
}

export function Episodes() {
  const { data, error, refresh } = usePoll('episodes', (signal) => api.anomalies({ limit: 10 }, { signal }));
  // The API has a started or ended anomaly immediately.
  const newest = useStore(live, (state) => state.events[0]?.id ?? 0);
  useEffect(() => {
    if (newest > 0) refresh();
  }, [newest, refresh]);
  const none = data !== null && data.anomalies.length === 0;
  return (
    <Panel id="episodes" title="Recent anomalies">
      {none && <p class="nothing">No anomaly has been recorded yet.</p>}
      {data && !none && (
        <ul class="list">
          {data.anomalies.map((episode) => (
            <Episode key={episodeKey(episode)} episode={episode} link />
          ))}
        </ul>
      )}
      {error && <Problem what={data ? 'Not up to date:' : 'No history:'} error={error} />}
      {!data && !error && <p class="nothing">Waiting for the first data.</p>}
    </Panel>
  );
}
