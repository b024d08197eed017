// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Asks for a pong. WebSocket control frames are answered besides.
 */
export interface Ping {
  type: 'ping';
  request_id?: RequestId;
}
