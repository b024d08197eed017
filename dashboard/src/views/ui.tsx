// Components that the views share.
import type { ComponentChildren } from 'preact';
import { clock } from '../data/live.ts';
import { useNow } from '../data/now.ts';
import type { Polled } from '../data/poll.ts';
import { absolute, ago, NONE, shortMoment } from '../format.ts';
import type { Kind } from '../kinds.ts';
import { nameParts, plainName } from '../names.ts';
import './ui.css';

/** An untrusted name: rendered as text only, isolated from the surrounding text direction, truncated to fit. */
export function Name({ name }: { name: string }) {
  return (
    <bdi class="name" title={plainName(name)}>
      {nameParts(name).map((part, index) =>
        'text' in part ? (
          part.text
        ) : (
          <span key={index} class="hidden-character" title="Invisible character">
            {part.hidden}
          </span>
        ),
      )}
    </bdi>
  );
}

/** A time in other words, with the absolute time as tooltip. */
function Time({ at, children }: { at: number; children: ComponentChildren }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(at)}>
      {children}
    </time>
  );
}

/** Relative time. */
export function Ago({ at }: { at: number | null }) {
  const now = useNow();
  return at === null ? NONE : <Time at={at}>{ago(at, now)}</Time>;
}

/** "since" and a time of day. */
export function Since({ at }: { at: number | null }) {
  return at === null ? NONE : <Time at={at}>since {shortMoment(at, clock.now())}</Time>;
}

const PATHS = {
  drop: 'M12 4v14m-6-6 6 6 6-6',
  rise: 'M12 20V6m-6 6 6-6 6 6',
  slower: 'M12 7v5l3.5 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18',
  faster: 'M13 3 5 14h6l-1 7 8-11h-6z',
  silent: 'M9 6v12M15 6v12',
  other: 'M12 7v6m0 4v.01',
  check: 'M5 12.5 10 17.5 19.5 7',
  warning:
    'M12 9v4.5m0 3v.01M10.6 4.2 2.8 18a1.6 1.6 0 0 0 1.4 2.4h15.6a1.6 1.6 0 0 0 1.4-2.4L13.4 4.2a1.6 1.6 0 0 0-2.8 0',
  close: 'M6 6l12 12M18 6 6 18',
  back: 'M15 5l-7 7 7 7',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13m5-1.5L21 21',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2v2.5M12 19.5V22M4.9 4.9l1.8 1.8m10.6 10.6 1.8 1.8M2 12h2.5m15 0H22M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8',
  moon: 'M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5',
  key: 'M7.5 20.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9M10.8 12.7 20 3.5M15.5 8l3.2 3.2',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function KindIcon({ kind }: { kind: Kind }) {
  return (
    <span class={`kind-icon kind-${kind}`}>
      <Icon name={kind} />
    </span>
  );
}

export function Panel({
  id,
  title,
  aside,
  children,
}: {
  id: string;
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="panel" aria-labelledby={`${id}-title`} data-testid={id}>
      <div class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** Explains why the data of a part of the page is missing or stale; an alert interrupts screen readers. */
export function Problem({ what, error, alert = false }: { what: string; error: Error; alert?: boolean }) {
  return (
    <p class="problem" role={alert ? 'alert' : 'note'}>
      <Icon name="warning" />
      <span>
        {what} {error.message}
      </span>
    </p>
  );
}

/** Stands for a list that has no entries, or that no response has yet. */
export function Nothing({ polled: { data, error } }: { polled: Pick<Polled<unknown>, 'data' | 'error'> }) {
  return <p class="nothing">{data ? 'None.' : error ? 'Unknown.' : 'Loading.'}</p>;
}
