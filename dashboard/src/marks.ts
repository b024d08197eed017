// What the charts of a history mark: alerts, and quietly deviations.
import type { Alert, AnomalyEpisode } from 'session-buddy-client';
import { kindOfAlert } from './alerts.ts';
import { kindOf } from './deviations.ts';
import { moment } from './format.ts';
import type { Kind } from './kinds.ts';

export interface Mark {
  kind: Kind;
  label: string;
  isAlert: boolean;
  /** Milliseconds since 1970; infinity while it is open. */
  from: number;
  to: number;
}

function timesOf(from: string, to: string | null): Pick<Mark, 'from' | 'to'> {
  return { from: moment(from) ?? Number.POSITIVE_INFINITY, to: moment(to) ?? Number.POSITIVE_INFINITY };
}

export function marksOf(alerts: readonly Alert[], deviations: readonly AnomalyEpisode[]): Mark[] {
  return [
    ...deviations.map((each) => ({
      kind: kindOf(each),
      label: 'deviation',
      isAlert: false,
      ...timesOf(each.detected_at, each.resolved_at),
    })),
    ...alerts.map((alert) => {
      const { icon, label } = kindOfAlert(alert);
      return { kind: icon, label: label.toLowerCase(), isAlert: true, ...timesOf(alert.since, alert.ended_at) };
    }),
  ];
}
