// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to auth where the token is accepted.
 */
export interface Authenticated {
  type: 'authenticated';
  /**
   * A sentence for people.
   */
  message: string;
  request_id?: RequestId;
}
