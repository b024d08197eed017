// Made by `npm run types` from docs/api; edit that instead.

/**
 * Chosen by the client, at most 64 bytes; comes back in the answer or error.
 */
export type RequestId = string;

/**
 * Answer to a request that could not be served. It never closes the connection.
 */
export interface Error {
  type: 'error';
  /**
   * A sentence for people, such as Invalid JSON or Invalid skill name: unknown_skill.
   */
  message: string;
  /**
   * For programs.
   */
  code:
    | 'invalid_json'
    | 'invalid_message'
    | 'unknown_type'
    | 'invalid_skill_name'
    | 'rate_limited'
    | 'unauthorized'
    | 'internal_error';
  request_id?: RequestId;
}
