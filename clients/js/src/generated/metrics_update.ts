// Made by `npm run types` from docs/api; edit that instead.

/**
 * Name of a skill: 1 to 256 bytes of UTF-8 without control characters.
 */
export type SkillName = string;

/**
 * Broadcast each update interval to every subscribed connection. For a subscription to named skills, data holds those skills alone.
 */
export interface MetricsUpdate {
  type: 'metrics_update';
  /**
   * When the figures were computed.
   */
  timestamp: string;
  data: {
    /**
     * Most active first: by invocation_count, then last_invocation_at, both descending, then by name. Ten at most unless configured. Without the skills that have no activity in the window.
     */
    top_skills: Skill[];
    /**
     * The largest deviation_score first.
     */
    anomalies: Anomaly[];
  };
}
/**
 * One skill's figures over the time window (24 hours unless configured).
 */
export interface Skill {
  skill_name: SkillName;
  /**
   * Invocations in the window.
   */
  invocation_count: number;
  /**
   * Successful completions in the window.
   */
  completed_count: number;
  /**
   * Mean duration in seconds of the completed invocations that have one; 0.0 where none has.
   */
  avg_duration: number;
  /**
   * Time of the last invocation.
   */
  last_invocation_at: string;
}
/**
 * One anomaly at or above the threshold now.
 */
export interface Anomaly {
  skill_name: SkillName;
  anomaly_type: 'performance_drop' | 'performance_spike' | 'pattern_shift';
  /**
   * What was expected: a completion rate from 0 to 1, for pattern_shift a duration in seconds.
   */
  baseline_value: number;
  /**
   * What was seen, in the same unit.
   */
  observed_value: number;
  /**
   * Absolute z-score of the deviation; at or above the threshold, and above min_deviation of the subscription or equal to it.
   */
  deviation_score: number;
  details?: Details;
}
/**
 * What explains the anomaly. There only where the subscription asks for it.
 */
export interface Details {
  /**
   * Invocations behind baseline_value.
   */
  baseline_samples: number;
  /**
   * Invocations behind observed_value.
   */
  observed_samples: number;
  /**
   * The deviation with its sign: negative where the observed value is the smaller one.
   */
  z_score: number;
  /**
   * Of a deviation at least this large on this side where nothing has changed.
   */
  tail_probability: number;
  /**
   * When it began.
   */
  since: string;
  /**
   * Error types of the observed failures, the most common first.
   *
   * @maxItems 3
   */
  common_errors: ErrorCount[];
}
/**
 * How often one error type occurs.
 */
export interface ErrorCount {
  error_type: string;
  count: number;
}
