// Finds what changed between two updates and is worth a notice: alerts that became active or ended, and improvements.
import type { Alert } from 'session-buddy-client';
import { alertKey, isActive, kindOfAlert } from './alerts.ts';

export interface AlertEvent {
  id: number;
  kind: 'started' | 'ended' | 'improved';
  alert: Alert;
  /** Milliseconds since 1970. */
  at: number;
}

/** Alerts of the first update, and those that are acknowledged or muted, cause no events. */
export class AlertTracker {
  #before: Map<string, Alert> | null = null;
  #events = 0;

  /** Returns the events of the update of time `at`. */
  observe(alerts: readonly Alert[], at: number): AlertEvent[] {
    const before = this.#before;
    this.#before = new Map(alerts.map((alert) => [alertKey(alert), alert]));
    return [...this.#before].flatMap(([key, alert]) => {
      const kind = before && eventKind(before.get(key), alert);
      if (!kind) return [];
      this.#events += 1;
      return [{ id: this.#events, kind, alert, at }];
    });
  }
}

function eventKind(before: Alert | undefined, now: Alert): AlertEvent['kind'] | null {
  if (kindOfAlert(now).isImprovement) return before || now.muted ? null : 'improved';
  const wasActive = before !== undefined && isActive(before);
  if (isActive(now)) return wasActive ? null : 'started';
  return wasActive && now.ended_at !== null ? 'ended' : null;
}
