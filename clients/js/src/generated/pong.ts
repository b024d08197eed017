// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to ping.
 */
export interface Pong {
  type: 'pong';
  request_id?: RequestId;
}
