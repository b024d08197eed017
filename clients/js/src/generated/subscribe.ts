// Made by `npm run types` from docs/api; edit that instead.

/**
 * Name of a skill: 1 to 256 bytes of UTF-8 without control characters.
 */
export type SkillName = string;
/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Asks for the metrics_update of one skill, of several or of all, in place of what the connection was subscribed to. A skill that has not run yet may be named. Answered by subscription_confirmed and, at once, one metrics_update.
 */
export interface Subscribe {
  type: 'subscribe';
  /**
   * The skill to hear of; null or absent means all skills.
   */
  skill_name?: SkillName | null;
  /**
   * Several skills, in place of skill_name.
   */
  skill_names?: SkillName[];
  /**
   * As the older Python server called skill_name; heeded only where skill_name is absent.
   */
  skill?: SkillName | null;
  /**
   * Anomalies with a smaller deviation_score are left out; 0 if absent.
   */
  min_deviation?: number;
  /**
   * Whether each anomaly has details; false if absent.
   */
  details?: boolean;
  request_id?: RequestId;
}
