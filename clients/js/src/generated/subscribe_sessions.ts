// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Asks for a session_update whenever the active sessions change. Answered by sessions_subscribed and, immediately, one session_update, also where no session is active.
 */
export interface SubscribeSessions {
  type: 'subscribe_sessions';
  request_id?: RequestId;
}
