// Toasts for alerts that start or end and for improvements, each of which is announced once to screen readers.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { AlertEvent } from '../alert-tracker.ts';
import { kindOfAlert } from '../alerts.ts';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { count } from '../format.ts';
import { addNotices, announcement, NO_NOTICES, noticeText, removeNotice } from '../notices.ts';
import { skillHref } from '../route.ts';
import { announce } from './announcements.tsx';
import { Icon, KindIcon, Name } from './ui.tsx';
import './notices.css';

const SHOWN_FOR = 9000; // milliseconds

function Toast({ event, onGone }: { event: AlertEvent; onGone: () => void }) {
  const dismiss = useRef(onGone);
  dismiss.current = onGone;
  // A toast with the pointer or the focus in it stays.
  const [paused, setPaused] = useState(false);
  useEffect(() => {
    if (paused) return;
    const timer = setTimeout(() => dismiss.current(), SHOWN_FOR);
    return () => clearTimeout(timer);
  }, [paused]);
  const { alert } = event;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the handlers only pause the timeout
    <div
      class="toast"
      data-testid="toast"
      onMouseEnter={() => setPaused(true)}
      onMouseLeave={() => setPaused(false)}
      onFocusIn={() => setPaused(true)}
      onFocusOut={() => setPaused(false)}
    >
      {event.kind === 'ended' ? (
        <span class="kind-icon kind-over">
          <Icon name="check" />
        </span>
      ) : (
        <KindIcon kind={kindOfAlert(alert).icon} />
      )}
      <div class="toast-text">
        <a href={skillHref(alert.skill_name)}>
          <Name name={alert.skill_name} />
        </a>
        <div class="quiet">{noticeText(event)}</div>
      </div>
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={onGone}>
        <Icon name="close" />
      </button>
    </div>
  );
}

export function Notices() {
  const events = useStore(live, (state) => state.events);
  const [{ shown, more }, setNotices] = useState(NO_NOTICES);
  const newest = useRef(0);

  useEffect(() => {
    const fresh = events.filter((event) => event.id > newest.current);
    newest.current = Math.max(newest.current, ...fresh.map((event) => event.id));
    if (fresh.length === 0) return;
    announce(announcement(fresh));
    setNotices((before) => addNotices(before, fresh));
  }, [events]);

  const connection = useStore(live, (state) => state.connection.status);
  const wasOpen = useRef(false);
  const wasLost = useRef(false);
  useEffect(() => {
    if (connection === 'open') {
      if (wasLost.current) announce('Reconnected.');
      wasOpen.current = true;
      wasLost.current = false;
    } else if (connection === 'waiting' && wasOpen.current && !wasLost.current) {
      wasLost.current = true;
      announce('Connection to the server lost.');
    }
  }, [connection]);

  return (
    <div class="toasts">
      {shown.map((event) => (
        <Toast key={event.id} event={event} onGone={() => setNotices((before) => removeNotice(before, event.id))} />
      ))}
      {more > 0 && <p class="toast toast-more">and {count(more)} more</p>}
    </div>
  );
}
