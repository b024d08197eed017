// Selects the changes that are shown as notices and announced: at most three, even if more arrive together.
import type { AlertEvent } from './alert-tracker.ts';
import { bySignificance, kindOfAlert, levelTexts } from './alerts.ts';
import { plural } from './format.ts';
import { plainName } from './names.ts';

export interface Notices {
  shown: AlertEvent[];
  /** Number of notices that were dropped since the first shown one. */
  more: number;
}

export const NO_NOTICES: Notices = { shown: [], more: 0 };
const MAX_SHOWN = 3;
const RANKS: Record<AlertEvent['kind'], number> = { started: 0, ended: 1, improved: 2 };

/** Newest first; within one update those that started, then the least probable by chance. */
function bySeverity(events: readonly AlertEvent[]): AlertEvent[] {
  return [...events].sort((a, b) => b.at - a.at || RANKS[a.kind] - RANKS[b.kind] || bySignificance(a.alert, b.alert));
}

export function addNotices({ shown, more }: Notices, fresh: readonly AlertEvent[]): Notices {
  const all = [...bySeverity(fresh), ...shown];
  return { shown: all.slice(0, MAX_SHOWN), more: more + Math.max(0, all.length - MAX_SHOWN) };
}

export function removeNotice({ shown, more }: Notices, id: number): Notices {
  const left = shown.filter((event) => event.id !== id);
  return left.length > 0 ? { shown: left, more } : NO_NOTICES;
}

/** What a notice says below the name of the skill. */
export function noticeText({ kind, alert }: AlertEvent): string {
  const { label } = kindOfAlert(alert);
  const [before, after] = levelTexts(alert);
  if (kind === 'ended') return alert.end === 'accepted' ? `New baseline: ${after}` : 'Back to normal';
  return `${label}: ${before} → ${after}`;
}

function sentence({ kind, alert }: AlertEvent): string {
  const label = kindOfAlert(alert).label.toLowerCase();
  const name = plainName(alert.skill_name);
  const [before, after] = levelTexts(alert);
  if (kind !== 'ended') {
    return `${kind === 'started' ? 'Alert' : 'Improvement'} in ${name}: ${label}, from ${before} to ${after}.`;
  }
  return alert.end === 'accepted'
    ? `${name} has a new baseline, ${after}; it was: ${label}.`
    : `${name} is back to normal; it was: ${label}.`;
}

/** The text that a screen reader announces for new events. */
export function announcement(fresh: readonly AlertEvent[]): string {
  const { shown, more } = addNotices(NO_NOTICES, fresh);
  return [...shown.map(sentence), ...(more > 0 ? [`And ${plural(more, 'more change')}.`] : [])].join(' ');
}
