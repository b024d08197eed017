// What begins and ends: shown for some seconds in a corner, and told to screen readers once, by the one live region.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type AnomalyEvent, KIND_WORDS, kindOf, valueText } from '../anomalies.ts';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { plainName } from '../names.ts';
import { skillHref } from '../route.ts';
import { Icon, KindIcon, Name } from './ui.tsx';

const SHOWN = 9000; // milliseconds
const AT_MOST = 3;

function sentence({ kind, anomaly }: AnomalyEvent): string {
  const words = KIND_WORDS[kindOf(anomaly)].toLowerCase();
  const name = plainName(anomaly.skill_name);
  if (kind === 'ended') return `${name} is back to normal; it was: ${words}.`;
  const from = valueText(anomaly.anomaly_type, anomaly.baseline_value);
  const to = valueText(anomaly.anomaly_type, anomaly.observed_value);
  return `Anomaly in ${name}: ${words}, from ${from} to ${to}.`;
}

function Toast({ event, onGone }: { event: AnomalyEvent; onGone: () => void }) {
  const gone = useRef(onGone);
  gone.current = onGone;
  // Whoever points at it or has the focus in it is not done with it.
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => gone.current(), SHOWN);
    return () => clearTimeout(timer);
  }, [held]);
  const { anomaly } = event;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: nothing is done with it, it only stays
    <div
      class="toast"
      data-testid="toast"
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocusIn={() => setHeld(true)}
      onFocusOut={() => setHeld(false)}
    >
      {event.kind === 'started' ? (
        <KindIcon kind={kindOf(anomaly)} />
      ) : (
        <span class="kind-icon kind-over">
          <Icon name="check" />
        </span>
      )}
      <div class="toast-text">
        <a href={skillHref(anomaly.skill_name)}>
          <Name name={anomaly.skill_name} />
        </a>
        <div class="quiet">
          {event.kind === 'started'
            ? `${KIND_WORDS[kindOf(anomaly)]}: ${valueText(anomaly.anomaly_type, anomaly.baseline_value)} → ${valueText(anomaly.anomaly_type, anomaly.observed_value)}`
            : 'Back to normal'}
        </div>
      </div>
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={onGone}>
        <Icon name="close" />
      </button>
    </div>
  );
}

export function Notices() {
  const events = useStore(live, (state) => state.events);
  const [dismissed, setDismissed] = useState<ReadonlySet<number>>(new Set());
  const [said, setSaid] = useState('');
  const newest = useRef(0);

  useEffect(() => {
    const fresh = events.filter((event) => event.id > newest.current);
    newest.current = Math.max(newest.current, ...fresh.map((event) => event.id));
    if (fresh.length > 0) setSaid(fresh.map(sentence).reverse().join(' '));
    // What left the bounded list need not be remembered.
    setDismissed((before) => new Set([...before].filter((id) => events.some((event) => event.id === id))));
  }, [events]);

  const connection = useStore(live, (state) => state.connection.status);
  const wasOpen = useRef(false);
  const wasLost = useRef(false);
  useEffect(() => {
    if (connection === 'open') {
      if (wasLost.current) setSaid('Connected again.');
      wasOpen.current = true;
      wasLost.current = false;
    } else if (connection === 'waiting' && wasOpen.current && !wasLost.current) {
      wasLost.current = true;
      setSaid('The connection to the server is lost.');
    }
  }, [connection]);

  const shown = events.filter((event) => !dismissed.has(event.id)).slice(0, AT_MOST);
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite" data-testid="announcements">
        {said}
      </div>
      <div class="toasts">
        {shown.map((event) => (
          <Toast key={event.id} event={event} onGone={() => setDismissed((before) => new Set([...before, event.id]))} />
        ))}
      </div>
    </>
  );
}
