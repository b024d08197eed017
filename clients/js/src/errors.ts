// What can go wrong, one class for each thing that a program would handle differently.

/** Base of all errors of this library. */
export class SessionBuddyError extends Error {
  override name = 'SessionBuddyError';
}

/** There is no connection, or it ended before the answer came. */
export class ConnectionError extends SessionBuddyError {
  override name = 'ConnectionError';
  constructor(
    message: string,
    /** Close code of the WebSocket; undefined where there was none. */
    readonly closeCode?: number,
  ) {
    super(message);
  }
}

/** The server asks for a token, or does not accept this one (close code 4401, HTTP 401 or 403). */
export class UnauthorizedError extends SessionBuddyError {
  override name = 'UnauthorizedError';
}

/** No answer came in time. */
export class TimeoutError extends SessionBuddyError {
  override name = 'TimeoutError';
}

/** The server answered with an error; `code` is one of those in the description of the API. */
export class RequestError extends SessionBuddyError {
  override name = 'RequestError';
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** The HTTP API answered with an error. */
export class ApiError extends SessionBuddyError {
  override name = 'ApiError';
  constructor(
    message: string,
    readonly status: number,
    /** For programs, such as `unknown_skill`; empty where the answer was not one of this server. */
    readonly code: string,
    /** Seconds to wait before asking again, where the server named them. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** The HTTP API answered with something that is none of its answers: another program, or a version of it that this one does not know. */
export class UnexpectedAnswerError extends SessionBuddyError {
  override name = 'UnexpectedAnswerError';
}
