// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Asks for the lifetime figures of one skill. Answered by metrics_response, or by an error with code invalid_skill_name where the skill is unknown.
 */
export interface GetMetrics {
  type: 'get_metrics';
  /**
   * The skill to query.
   */
  skill_name?: string;
  /**
   * As the older Python server called skill_name; heeded only where skill_name is absent.
   */
  skill?: string;
  request_id?: RequestId;
}
