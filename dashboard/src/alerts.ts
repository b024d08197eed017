// Alerts: their kinds and states, and what explains them as text.
import type { Alert, AlertLevel } from 'session-buddy-client';
import { between, count, duration, moment, percent, period, plural, shortMoment, span } from './format.ts';
import type { Kind } from './kinds.ts';

interface KindOfAlert {
  icon: Kind;
  label: string;
  /** A level as text. */
  text: (value: number) => string;
  isImprovement: boolean;
}

const KINDS: Record<Alert['kind'], KindOfAlert> = {
  completion_rate_fell: { icon: 'drop', label: 'Success rate fell', text: percent, isImprovement: false },
  completion_rate_rose: { icon: 'rise', label: 'Success rate rose', text: percent, isImprovement: true },
  duration_rose: { icon: 'slower', label: 'Slower', text: duration, isImprovement: false },
  duration_fell: { icon: 'faster', label: 'Faster', text: duration, isImprovement: true },
  silence: { icon: 'silent', label: 'No longer used', text: span, isImprovement: false },
};
/** A kind of a newer server. */
const OTHER: KindOfAlert = { icon: 'other', label: 'Changed', text: String, isImprovement: false };

export function kindOfAlert({ kind }: Pick<Alert, 'kind'>): KindOfAlert {
  return KINDS[kind] ?? OTHER;
}

/** An alert that has no id yet has the same key when it is stored. */
export function alertKey({ skill_name, kind, detected_at }: Alert): string {
  return JSON.stringify([skill_name, kind, detected_at]);
}

/** Open, and neither acknowledged nor muted: shown as a problem. */
export function isActive(alert: Alert): boolean {
  return alert.ended_at === null && alert.acknowledged_at === null && !alert.muted && !kindOfAlert(alert).isImprovement;
}

/** The least probable by chance first. */
export function bySignificance(a: Alert, b: Alert): number {
  return b.once_in_seconds - a.once_in_seconds;
}

/** Both levels as text. */
export function levelTexts(alert: Alert): [before: string, after: string] {
  const { text } = kindOfAlert(alert);
  return [text(alert.before.value), text(alert.after.value)];
}

/** Such as "between 97.1 and 98.9 %, n = 812"; silence has no intervals. */
export function intervalText(alert: Alert, { low, high, samples }: AlertLevel): string {
  if (alert.kind === 'silence') return '';
  const { text } = kindOfAlert(alert);
  const interval = text === percent ? between(low, high) : `between ${text(low)} and ${text(high)}`;
  return `${interval}, n\u00a0=\u00a0${count(samples)}`;
}

/** The time of the change, with its 90 % interval if that is longer than a minute. */
export function sinceText({ since, since_low, since_high }: Alert, now: number): string {
  const [at, low, high] = [since, since_low, since_high].map((text) => shortMoment(moment(text) ?? now, now));
  return low === high ? `Since ${at}` : `Since ${at}, likely between ${low} and ${high}`;
}

/** How often evidence this strong occurs by chance; empty if it is not known. */
export function chanceText({ once_in_seconds }: Alert): string {
  return once_in_seconds > 0 ? `by chance once in ${period(once_in_seconds)}` : '';
}

/** The API counts this many sessions at most. */
const MAX_SESSIONS = 8;

/** In how many sessions it happened; empty if they are not known. */
export function sessionsText({ sessions }: Alert): string {
  if (sessions <= 0) return '';
  return sessions >= MAX_SESSIONS ? `${MAX_SESSIONS} or more sessions` : plural(sessions, 'session');
}

/** Such as "ongoing", "muted", "recovered after 3 h". */
export function stateText({ since, ended_at, end, acknowledged_at, muted, kind }: Alert): string {
  if (kindOfAlert({ kind }).isImprovement) return 'improvement';
  if (ended_at === null) return muted ? 'muted' : acknowledged_at === null ? 'ongoing' : 'acknowledged';
  const length = span(((moment(ended_at) ?? 0) - (moment(since) ?? 0)) / 1000);
  return end === 'accepted' ? `new baseline after ${length}` : `recovered after ${length}`;
}
