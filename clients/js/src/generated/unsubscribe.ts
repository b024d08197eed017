// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Ends the metrics_update of this connection until it subscribes again. Session updates go on. Answered by unsubscribed.
 */
export interface Unsubscribe {
  type: 'unsubscribe';
  request_id?: RequestId;
}
