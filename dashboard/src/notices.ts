// Selects the changes that are shown as notices and announced: at most three, even if more arrive together.
import { KIND_LABELS, kindOf, valueTexts } from './anomaly.ts';
import type { AnomalyEvent } from './anomaly-tracker.ts';
import { plural } from './format.ts';
import { plainName } from './names.ts';

export interface Notices {
  shown: AnomalyEvent[];
  /** Number of notices that were dropped since the first shown one. */
  more: number;
}

export const NO_NOTICES: Notices = { shown: [], more: 0 };
const MAX_SHOWN = 3;

/** Newest first; within one update those that started before those that ended, largest deviation first. */
function bySeverity(events: readonly AnomalyEvent[]): AnomalyEvent[] {
  const rank = ({ kind }: AnomalyEvent) => (kind === 'started' ? 0 : 1);
  return [...events].sort(
    (a, b) => b.at - a.at || rank(a) - rank(b) || b.anomaly.deviation_score - a.anomaly.deviation_score,
  );
}

export function addNotices({ shown, more }: Notices, fresh: readonly AnomalyEvent[]): Notices {
  const all = [...bySeverity(fresh), ...shown];
  return { shown: all.slice(0, MAX_SHOWN), more: more + Math.max(0, all.length - MAX_SHOWN) };
}

export function removeNotice({ shown, more }: Notices, id: number): Notices {
  const left = shown.filter((event) => event.id !== id);
  return left.length > 0 ? { shown: left, more } : NO_NOTICES;
}

function sentence({ kind, anomaly }: AnomalyEvent): string {
  const label = KIND_LABELS[kindOf(anomaly)].toLowerCase();
  const name = plainName(anomaly.skill_name);
  if (kind === 'ended') return `${name} is back to normal; it was: ${label}.`;
  return `Anomaly in ${name}: ${label}, from ${valueTexts(anomaly).join(' to ')}.`;
}

/** The text that a screen reader announces for new events. */
export function announcement(fresh: readonly AnomalyEvent[]): string {
  const { shown, more } = addNotices(NO_NOTICES, fresh);
  return [...shown.map(sentence), ...(more > 0 ? [`And ${plural(more, 'more change')}.`] : [])].join(' ');
}
