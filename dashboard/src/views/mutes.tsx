// The muted skills, and the button that unmutes one.
import { useState } from 'preact/hooks';
import type { Mute } from 'session-buddy-client';
import { unmute, useMutes } from '../data/alerts.ts';
import { clock } from '../data/live.ts';
import { moment, shortMoment } from '../format.ts';
import { plainName } from '../names.ts';
import { skillHref } from '../route.ts';
import { announce, focusAlerts } from './announcements.tsx';
import { Name, Problem } from './ui.tsx';
import './mutes.css';

function untilText({ until }: Mute): string {
  const end = moment(until);
  return end === null ? 'until it is removed' : `until ${shortMoment(end, clock.now())}`;
}

/** What mutes a skill, with the button that ends it. */
export function MuteState({ mute }: { mute: Mute }) {
  const [error, setError] = useState<Error | null>(null);
  const name = plainName(mute.skill_name);
  const remove = async () => {
    setError(null);
    try {
      await unmute(mute.skill_name);
      announce(`${name} is no longer muted.`);
      focusAlerts();
    } catch (failure) {
      setError(failure as Error);
    }
  };
  return (
    <>
      <span class="quiet wrapped">
        muted {untilText(mute)}
        {mute.reason && (
          <>
            : <Name name={mute.reason} />
          </>
        )}
      </span>
      <button type="button" class="button" aria-label={`Unmute ${name}`} onClick={remove}>
        Unmute
      </button>
      {error && <Problem what="Not unmuted:" error={error} alert />}
    </>
  );
}

export function MutedSkills() {
  const mutes = useMutes();
  if (mutes.length === 0) return null;
  return (
    <details class="alerts-more" data-testid="mutes">
      <summary>Muted skills ({mutes.length})</summary>
      <ul class="mutes">
        {mutes.map((mute) => (
          <li key={mute.skill_name} class="mute">
            <a href={skillHref(mute.skill_name)}>
              <Name name={mute.skill_name} />
            </a>
            <MuteState mute={mute} />
          </li>
        ))}
      </ul>
    </details>
  );
}
