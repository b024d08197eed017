// Made by `npm run types` from docs/api; edit that instead.

/**
 * Name of a skill: 1 to 256 bytes of UTF-8 without control characters.
 */
export type SkillName = string;
/**
 * UTC, to the second.
 */
export type Timestamp = string;
/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to get_metrics: the figures of one skill over its whole recorded life.
 */
export interface MetricsResponse {
  type: 'metrics_response';
  data: {
    skill_name: SkillName;
    /**
     * Name of a skill: 1 to 256 bytes of UTF-8 without control characters.
     */
    skill?: string;
    /**
     * All recorded invocations.
     */
    total_invocations: number;
    /**
     * Completed invocations by all invocations, a fraction.
     */
    completion_rate: number;
    /**
     * Mean duration in seconds; 0.0 where none is known.
     */
    avg_duration_seconds: number;
    /**
     * Time of the last invocation; null where the recorded value is not a time.
     */
    last_invocation_at: Timestamp | null;
  };
  request_id?: RequestId;
}
