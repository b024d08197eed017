// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to unsubscribe. No metrics_update comes after it.
 */
export interface Unsubscribed {
  type: 'unsubscribed';
  /**
   * A sentence for people.
   */
  message: string;
  request_id?: RequestId;
}
