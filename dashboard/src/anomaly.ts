// Kinds of anomalies, with their labels and values as text.
import type { AnomalyEpisode } from 'session-buddy-client';
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

/** The values of the baseline and of the observation, with their unit. */
export function valueTexts({ anomaly_type, baseline_value, observed_value }: AnomalyValues): [string, string] {
  const text = anomaly_type === 'pattern_shift' ? duration : percent;
  return [text(baseline_value), text(observed_value)];
}

export function anomalyKey(anomaly: Pick<AnomalyEpisode, 'skill_name' | 'anomaly_type'>): string {
  return JSON.stringify([anomaly.skill_name, anomaly.anomaly_type]);
}
