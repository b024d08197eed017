// Finds which anomalies started or ended between two updates.
import type { Anomaly } from 'session-buddy-client';
import { anomalyKey } from './anomaly.ts';

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
