// Deviations, which the API calls anomalies: their kinds, labels and values as text. The page marks them, and nothing more.
import type { Anomaly, AnomalyEpisode } from 'session-buddy-client';
import { deviation, duration, percent } from './format.ts';
import type { Kind } from './kinds.ts';

/** The fields that live deviations and recorded ones have in common. */
export type DeviationValues = Pick<
  AnomalyEpisode,
  'anomaly_type' | 'baseline_value' | 'observed_value' | 'deviation_score'
>;

export function kindOf(values: Omit<DeviationValues, 'deviation_score'>): Kind {
  switch (values.anomaly_type) {
    case 'performance_drop':
      return 'drop';
    case 'performance_spike':
      return 'rise';
    case 'pattern_shift':
      return (values.observed_value ?? 0) < (values.baseline_value ?? 0) ? 'faster' : 'slower';
    default:
      return 'other';
  }
}

const LABELS: Record<Kind, string> = {
  drop: 'Success rate below the baseline',
  rise: 'Success rate above the baseline',
  slower: 'Slower than the baseline',
  faster: 'Faster than the baseline',
  silent: '',
  other: 'Deviates from the baseline',
};

/** Such as "Slower than the baseline, 5.0 s → 15 s, 3.3 σ". */
export function deviationText(values: DeviationValues): string {
  const { anomaly_type, baseline_value, observed_value, deviation_score } = values;
  const text = anomaly_type === 'pattern_shift' ? duration : percent;
  const score = deviation_score === null ? '' : `, ${deviation(deviation_score)}`;
  return `${LABELS[kindOf(values)]}, ${text(baseline_value)} → ${text(observed_value)}${score}`;
}

/** The deviations by skill, largest first, as the server sorts them. */
export function deviationsBySkill(deviations: readonly Anomaly[]): ReadonlyMap<string, readonly Anomaly[]> {
  const bySkill = new Map<string, Anomaly[]>();
  for (const each of deviations) bySkill.set(each.skill_name, [...(bySkill.get(each.skill_name) ?? []), each]);
  return bySkill;
}
