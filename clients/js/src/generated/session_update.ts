// Made by `npm run types` from docs/api; edit that instead.

/**
 * The active sessions, sent to connections that asked with subscribe_sessions whenever they changed, at most once an update interval.
 */
export interface SessionUpdate {
  type: 'session_update';
  /**
   * When the figures were computed.
   */
  timestamp: string;
  data: {
    active_sessions: Session[];
  };
}
export interface Session {
  /**
   * The id under which the invocations were recorded.
   */
  session_id: string;
  /**
   * Time of its first invocation.
   */
  first_activity_at: string;
  /**
   * Time of its last invocation.
   */
  last_activity_at: string;
  /**
   * All its invocations.
   */
  invocations: number;
  /**
   * Those of them that completed.
   */
  completed: number;
  /**
   * Skills that it used.
   */
  distinct_skills: number;
}
