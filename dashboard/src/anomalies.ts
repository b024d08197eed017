// Labels for anomalies, and the tracker that finds which anomalies started or ended between two updates.
import type { Anomaly, AnomalyEpisode } from 'session-buddy-client';
import { duration, percent } from './format.ts';

/** `other` is a type that this page does not know; another program wrote it into the database. */
export type AnomalyKind = 'drop' | 'rise' | 'slower' | 'faster' | 'other';

/** The fields that live anomalies and recorded episodes have in common. */
export type AnomalyValues = Pick<AnomalyEpisode, 'anomaly_type' | 'baseline_value' | 'observed_value'>;

export function kindOf(anomaly: AnomalyValues): AnomalyKind {
  switch (anomaly.anomaly_type) {
    case 'performance_drop':
      return 'drop';
    case 'performance_spike':
      return 'rise';
    case 'pattern_shift':
      return (anomaly.observed_value ?? 0) < (anomaly.baseline_value ?? 0) ? 'faster' : 'slower';
    default:
      return 'other';
  }
}

export const KIND_LABELS: Record<AnomalyKind, string> = {
  drop: 'Success rate fell',
  rise: 'Success rate rose',
  slower: 'Slower than usual',
  faster: 'Faster than usual',
  other: 'Unusual',
};

export function valueText(type: string, value: number | null): string {
  return type === 'pattern_shift' ? duration(value) : percent(value);
}

export interface TrackedAnomaly {
  key: string;
  anomaly: Anomaly;
  /** Missing from the newest update; the anomaly ends when it stays missing for RESOLVE_DELAY. */
  fading: boolean;
  /** Time in milliseconds of the last update that contained it. */
  lastSeen: number;
}

export interface AnomalyEvent {
  id: number;
  kind: 'started' | 'ended';
  anomaly: Anomaly;
  at: number;
}

/** Milliseconds without an anomaly after which it has ended: scores near the threshold flap. */
export const RESOLVE_DELAY = 10_000;

export function anomalyKey(anomaly: Pick<AnomalyEpisode, 'skill_name' | 'anomaly_type'>): string {
  return JSON.stringify([anomaly.skill_name, anomaly.anomaly_type]);
}

/** Tracks anomalies across updates. Those in the first update do not count as started. */
export class AnomalyTracker {
  #tracked = new Map<string, TrackedAnomaly>();
  #initialized = false;
  #events = 0;

  /** Applies the update of time `at`; returns the open anomalies, largest deviation first, and what changed. */
  observe(anomalies: readonly Anomaly[], at: number): { current: TrackedAnomaly[]; events: AnomalyEvent[] } {
    const events: AnomalyEvent[] = [];
    const next = new Map<string, TrackedAnomaly>();
    for (const anomaly of anomalies) {
      const key = anomalyKey(anomaly);
      next.set(key, { key, anomaly, fading: false, lastSeen: at });
      if (this.#initialized && !this.#tracked.has(key)) events.push(this.#event('started', anomaly, at));
    }
    for (const [key, tracked] of this.#tracked) {
      if (next.has(key)) continue;
      if (at - tracked.lastSeen < RESOLVE_DELAY) next.set(key, { ...tracked, fading: true });
      else events.push(this.#event('ended', tracked.anomaly, at));
    }
    this.#initialized = true;
    this.#tracked = next;
    const current = [...next.values()].sort((a, b) => b.anomaly.deviation_score - a.anomaly.deviation_score);
    return { current, events };
  }

  #event(kind: AnomalyEvent['kind'], anomaly: Anomaly, at: number): AnomalyEvent {
    this.#events += 1;
    return { id: this.#events, kind, anomaly, at };
  }
}
