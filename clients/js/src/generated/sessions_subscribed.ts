// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to subscribe_sessions. One session_update follows immediately, also where no session is active.
 */
export interface SessionsSubscribed {
  type: 'sessions_subscribed';
  /**
   * A sentence for people.
   */
  message: string;
  request_id?: RequestId;
}
