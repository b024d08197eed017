// The page header: freshness of the data, connection state, theme.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { connectionLabel, disconnectedMessage, staleAfter } from '../connection.ts';
import { live, retry, showTokenDialog } from '../data/live.ts';
import { useNow } from '../data/now.ts';
import { useStore } from '../data/store.ts';
import { duration, moment, span } from '../format.ts';
import { onTheme, theme, toggleTheme } from '../theme.ts';
import { Icon } from './ui.tsx';
import './header.css';

/** Seconds since the data on the page was computed; null without data. */
export function useAge(): { age: number | null; stale: boolean } {
  const now = useNow();
  const at = useStore(live, (state) => moment(state.update?.timestamp));
  const interval = useStore(live, (state) => state.server?.update_interval_seconds);
  const age = at === null ? null : Math.max(0, Math.floor((now - at) / 1000));
  return { age, stale: age !== null && age > staleAfter(interval) };
}

function Freshness() {
  const { age, stale } = useAge();
  const connection = useStore(live, (state) => state.connection);
  const tokenRequired = useStore(live, (state) => state.tokenRequired !== null);
  const { tone, label } = connectionLabel(connection, tokenRequired, !stale, age !== null, Date.now());
  const dot = <span class="pill-dot" aria-hidden="true" />;
  const pill = { class: `pill tone-${tone}`, 'data-testid': 'connection', children: [dot, label] };
  return (
    <div class="freshness" data-testid="freshness">
      {stale && age !== null && <span class="stale-age">Data is {age < 60 ? span(age) : duration(age)} old</span>}
      {tokenRequired ? (
        <button type="button" {...pill} aria-haspopup="dialog" onClick={() => showTokenDialog(true)} />
      ) : (
        <span {...pill} />
      )}
    </div>
  );
}

function ThemeButton() {
  const [present, setPresent] = useState(theme);
  useEffect(() => onTheme(() => setPresent(theme())), []);
  const other = present === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="icon-button"
      onClick={toggleTheme}
      aria-label={`Switch to the ${other} theme`}
      title={`Switch to the ${other} theme`}
    >
      <Icon name={present === 'dark' ? 'sun' : 'moon'} />
    </button>
  );
}

export function Header() {
  return (
    <header class="header">
      <div class="header-inner">
        <a class="brand" href="#/" aria-label="Session Buddy, overview">
          <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <rect width="32" height="32" rx="8" />
            <path d="M6 17h5l3-8 4 14 3-8h5" />
          </svg>
          <span class="brand-name">Session Buddy</span>
        </a>
        <Freshness />
        <ThemeButton />
      </div>
    </header>
  );
}

interface WarningProps {
  headline: string;
  detail: string;
  why: string | null;
  children?: ComponentChildren;
}

function Warning({ headline, detail, why, children }: WarningProps) {
  return (
    <div class="banner" data-testid="banner">
      <Icon name="warning" />
      <p>
        <strong>{headline}</strong> {detail}
        <span class="banner-why">{why}</span>
      </p>
      {children}
    </div>
  );
}

/** A warning that concerns the whole page: no connection, or an unreadable database. */
export function Banner() {
  const connection = useStore(live, (state) => state.connection);
  const database = useStore(live, (state) => state.server?.database ?? null);
  const tokenRequired = useStore(live, (state) => state.tokenRequired !== null);
  const polled = useStore(live, (state) => state.server !== null && state.serverError === null);
  const hasData = useStore(live, (state) => state.server !== null || state.update !== null);
  const { age } = useAge();
  // A single failed attempt is usually a restart; only the connection label in the header shows it.
  const lost =
    connection.status === 'closed' || ('attempt' in connection && connection.attempt >= (age === null ? 1 : 2));
  if (lost && !tokenRequired) {
    const { headline, detail } = disconnectedMessage(polled, hasData);
    const why = 'error' in connection && connection.error ? ` (${connection.error.message})` : '';
    return (
      <Warning headline={headline} detail={detail} why={why}>
        <button type="button" class="button" onClick={retry}>
          Try now
        </button>
      </Warning>
    );
  }
  if (database && !database.readable) {
    return (
      <Warning
        headline="The server cannot read its database."
        detail="The page shows the last data it read. "
        why={database.reason}
      />
    );
  }
  return null;
}
