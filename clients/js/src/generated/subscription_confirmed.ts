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
 * Answer to subscribe. One metrics_update for the new subscription follows at once.
 */
export interface SubscriptionConfirmed {
  type: 'subscription_confirmed';
  /**
   * The skill, or null for all skills.
   */
  skill_name?: SkillName | null;
  /**
   * The same as skill_name, for a client that asked with skill.
   */
  skill?: SkillName | null;
  /**
   * The array of the request as it was sent, in place of skill_name.
   */
  skill_names?: SkillName[];
  /**
   * As in the request; absent where it was.
   */
  min_deviation?: number;
  /**
   * As in the request; absent where it was.
   */
  details?: boolean;
  /**
   * A sentence for people.
   */
  message: string;
  request_id?: RequestId;
}
