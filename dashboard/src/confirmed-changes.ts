// Changes of alerts that the server has confirmed: an update that it computed before may still arrive without them.
import type { Alert } from 'session-buddy-client';

type Change = (alert: Alert) => Alert;

/** Milliseconds for which updates are corrected: longer than the server takes from reading alerts to the broadcast. */
export const CORRECTED_FOR = 5000;

export class ConfirmedChanges {
  #changes: { change: Change; until: number }[] = [];

  /** `now` is the time in milliseconds, here and below. */
  add(change: Change, now: number): void {
    this.#changes.push({ change, until: now + CORRECTED_FOR });
  }

  apply(alerts: readonly Alert[], now: number): Alert[] {
    this.#changes = this.#changes.filter(({ until }) => until > now);
    return alerts.map((alert) => this.#changes.reduce((changed, { change }) => change(changed), alert));
  }
}
