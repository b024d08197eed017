// Error classes, one for each case that a program would handle differently.

/** Base of all errors of this library. */
export class SessionBuddyError extends Error {
  override name = 'SessionBuddyError';
}

/** There is no connection, or it was lost before the response arrived. */
export class ConnectionError extends SessionBuddyError {
  override name = 'ConnectionError';
  constructor(
    message: string,
    /** Close code of the WebSocket; undefined without one. */
    readonly closeCode?: number,
  ) {
    super(message);
  }
}

/** The server requires a token, or rejected this one (close code 4401, HTTP 401 or 403). */
export class UnauthorizedError extends SessionBuddyError {
  override name = 'UnauthorizedError';
}

/** A request or connection attempt timed out. */
export class TimeoutError extends SessionBuddyError {
  override name = 'TimeoutError';
}

/** The server responded with an error; the WebSocket API documents its `code`. */
export class RequestError extends SessionBuddyError {
  override name = 'RequestError';
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** The HTTP API responded with an error. */
export class ApiError extends SessionBuddyError {
  override name = 'ApiError';
  constructor(
    message: string,
    readonly status: number,
    /** Machine-readable, such as `unknown_skill`; empty if the response is not from this server. */
    readonly code: string,
    /** Seconds to wait before a retry, if the server sent Retry-After. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** An HTTP response without the required fields: from another program, or from an unknown version of the server. */
export class UnexpectedAnswerError extends SessionBuddyError {
  override name = 'UnexpectedAnswerError';
}
