// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Shows a token: as the first message of a client that showed none while it connected, or later in place of a token that expires.
 */
export interface Auth {
  type: 'auth';
  /**
   * One of the tokens of the server, or a JSON Web Token; at most 8192 bytes.
   */
  token: string;
  request_id?: RequestId;
}
