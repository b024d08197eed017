// The active sessions, latest activity first.
import { useState } from 'preact/hooks';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { moment, plural } from '../format.ts';
import { outcomesOf, outcomeText } from '../outcomes.ts';
import { Ago, Name, Panel, Since } from './ui.tsx';
import './sessions.css';

const COLLAPSED_ROWS = 8;
/** Upper bound of the rendered rows, so that the page size is bounded. */
const MAX_ROWS = 200;

export function Sessions() {
  const sessions = useStore(live, (state) => state.sessions);
  const known = useStore(live, (state) => state.update !== null);
  const [expanded, setExpanded] = useState(false);
  const sorted = [...(sessions ?? [])].sort((a, b) => (a.last_activity_at < b.last_activity_at ? 1 : -1));
  const shown = sorted.slice(0, expanded ? MAX_ROWS : COLLAPSED_ROWS);
  return (
    <Panel
      id="sessions"
      title="Active sessions"
      aside={sorted.length > 0 && <span class="badge badge-quiet">{sorted.length}</span>}
    >
      {sorted.length === 0 ? (
        <p class="nothing">{known ? 'No session is active now.' : 'Waiting for the first data.'}</p>
      ) : (
        <ul class="list">
          {shown.map((session) => (
            <li key={session.session_id}>
              <div class="list-head">
                <Name name={session.session_id} />
                <span class="list-when">
                  <Ago at={moment(session.last_activity_at)} />
                </span>
              </div>
              <div class="quiet">
                {plural(session.invocations, 'invocation')} ·{' '}
                {outcomeText(outcomesOf(session.invocations, session.completed, session.unknown))} ·{' '}
                {plural(session.distinct_skills, 'skill')} · <Since at={moment(session.first_activity_at)} />
              </div>
            </li>
          ))}
        </ul>
      )}
      {sorted.length > COLLAPSED_ROWS && (
        <button type="button" class="button more" aria-expanded={expanded} onClick={() => setExpanded(!expanded)}>
          {expanded ? 'Show fewer' : `Show ${Math.min(sorted.length, MAX_ROWS)}`}
        </button>
      )}
    </Panel>
  );
}
