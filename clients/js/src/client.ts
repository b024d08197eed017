// The WebSocket client: a reconnecting connection with its subscriptions and requests.
import { ConnectionError, RequestError, SessionBuddyError, TimeoutError, UnauthorizedError } from './errors.js';
import type {
  ErrorMessage,
  MetricsUpdate,
  Request,
  ServerMessage,
  SessionUpdate,
  SkillMetrics,
  Subscribe,
} from './messages.js';
import { Backoff, DEFAULT_POLICY } from './reconnect.js';
import { BoundedStream } from './stream.js';

/** The part of the WebSocket interface that this library uses: implemented by browsers, Node and the package ws. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** A token, or a function that returns the current one; called for each connection. */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>);

export interface ClientOptions {
  /** Bearer token, sent in the first message of each connection, never in the URL. */
  token?: TokenSource | undefined;
  /** Failed reconnection attempts before giving up; null never gives up. Default: 20. */
  maxAttempts?: number | null;
  /** Maximum wait in milliseconds before the first reconnection attempt; it doubles with each failed attempt. Default: 500. */
  reconnectDelay?: number;
  /** Maximum wait in milliseconds before any attempt. Default: 30,000. */
  maxReconnectDelay?: number;
  /** Timeout in milliseconds for a connection to become ready. Default: 10,000. */
  connectTimeout?: number;
  /** Timeout in milliseconds of a request. Default: 10,000. */
  requestTimeout?: number;
  /** Keepalive: milliseconds without a message after which the client sends a ping. Default: 15,000. */
  silence?: number;
  /** Updates buffered for a slow `for await`; the oldest are dropped beyond. Default: 64. */
  maxBuffered?: number;
  /** Maximum concurrent requests. Default: 64. */
  maxPending?: number;
  /** WebSocket implementation, needed without a global one, as in Node 20: that of the package ws. */
  webSocket?: WebSocketConstructor;
}

/** Filters and extends the anomalies of a subscription. */
export interface SubscribeOptions {
  /** Minimum `deviation_score` of anomalies. */
  minDeviation?: number;
  /** Adds `details` to each anomaly: sample sizes, scores, common errors. */
  details?: boolean;
}

export type ConnectionState =
  | { status: 'idle' }
  | { status: 'connecting'; attempt: number; maxAttempts: number | null }
  | { status: 'open' }
  /** Waits `delay` milliseconds, until `retryAt` (compare with Date.now()), before attempt number `attempt`. */
  | {
      status: 'waiting';
      attempt: number;
      maxAttempts: number | null;
      delay: number;
      retryAt: number;
      error: SessionBuddyError;
    }
  /** The client has ended; `error` is absent after `close()`. */
  | { status: 'closed'; error?: SessionBuddyError };

export interface ClientEvents {
  /** A `metrics_update` of the current subscription. */
  metrics: MetricsUpdate;
  /** A `session_update`. */
  sessions: SessionUpdate;
  /** The state of the connection changed. */
  state: ConnectionState;
  /** An error that no pending call reports. The client continues. */
  error: SessionBuddyError;
}

type Listener<T> = (value: T) => void;
type Subscription = Omit<Subscribe, 'request_id'> | { type: 'unsubscribe' };
type DesiredSubscription = Subscription | { type: 'subscribe_sessions' };

const SESSIONS: DesiredSubscription = { type: 'subscribe_sessions' };

interface Pending {
  resolve: (message: ServerMessage) => void;
  reject: (error: SessionBuddyError) => void;
  timer: ReturnType<typeof setTimeout>;
}

const UNAUTHORIZED = 4401;

const CLOSE_CODES: Record<number, string> = {
  1001: 'the server is shutting down',
  1006: 'the server is unreachable, or the connection was lost',
  1008: 'the server closed the connection because of too many messages',
  1009: 'a message exceeded the size limit of the server',
  1013: 'the server has reached its connection limit; retry later',
};

function closeError(code: number, reason: string): SessionBuddyError {
  if (code === UNAUTHORIZED) return new UnauthorizedError(reason || 'the server requires a token');
  const known = CLOSE_CODES[code] ?? `the connection was closed with code ${code}`;
  return new ConnectionError(reason && !(code in CLOSE_CODES) ? `${known}: ${reason}` : known, code);
}

/** Closes a socket whose events no longer matter. */
function discard(socket: WebSocketLike, code?: number): void {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  try {
    socket.close(code);
  } catch {
    // The socket never opened.
  }
}

function isServerMessage(value: unknown): value is ServerMessage {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/**
 * A reconnecting client of a Session-Buddy server. After each reconnection it resubscribes before it delivers any
 * update.
 */
export class SessionBuddyClient {
  /** Connects and waits until the connection is ready. Throws if the first attempt fails. */
  static async connect(url: string | URL, options: ClientOptions = {}): Promise<SessionBuddyClient> {
    const client = new SessionBuddyClient(url, options);
    try {
      await client.connect();
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  readonly url: string;
  readonly #options: ClientOptions;
  readonly #backoff: Backoff;
  readonly #WebSocket: WebSocketConstructor;
  readonly #listeners = new Map<keyof ClientEvents, Set<Listener<never>>>();
  readonly #metricsStreams = new Set<BoundedStream<MetricsUpdate>>();
  readonly #sessionStreams = new Set<BoundedStream<SessionUpdate>>();
  readonly #pending = new Map<string, Pending>();

  #state: ConnectionState = { status: 'idle' };
  #socket: WebSocketLike | null = null;
  #everOpen = false;
  #requests = 0;
  #subscription: Subscription | null = null;
  /** The last subscription that the server confirmed; restored when a new one is rejected. */
  #confirmed: Subscription | null = null;
  /** Calls that wait until the next connection has their subscription. */
  readonly #waiters = new Set<{ desired: DesiredSubscription; reject: (error: RequestError) => void }>();
  #sessionsDesired = false;
  /** Whether the server has confirmed the subscription of this connection; updates before that are dropped. */
  #subscribed = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;

  /** Does not connect yet: add listeners, then call `connect()`. */
  constructor(url: string | URL, options: ClientOptions = {}) {
    this.url = String(url).replace(/^http/, 'ws');
    this.#options = options;
    this.#backoff = new Backoff({
      firstDelay: options.reconnectDelay ?? DEFAULT_POLICY.firstDelay,
      maxDelay: options.maxReconnectDelay ?? DEFAULT_POLICY.maxDelay,
      maxAttempts: options.maxAttempts === undefined ? DEFAULT_POLICY.maxAttempts : options.maxAttempts,
    });
    const WebSocket = options.webSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (!WebSocket) {
      throw new SessionBuddyError(
        'no global WebSocket: use Node 22 or later, or pass the WebSocket of the package ws as the option webSocket',
      );
    }
    this.#WebSocket = WebSocket;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Adds a listener and returns a function that removes it. */
  on<E extends keyof ClientEvents>(event: E, listener: Listener<ClientEvents[E]>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  /**
   * Connects, and resolves when the connection is ready. Rejects if this attempt fails; the client still retries until
   * `close()`, unless the token was rejected or no attempts are left.
   */
  connect(): Promise<void> {
    if (this.#state.status === 'open') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = this.on('state', (state) => {
        if (state.status === 'connecting') return;
        stop();
        if (state.status === 'open') resolve();
        else if ('error' in state && state.error) reject(state.error);
        else reject(new ConnectionError('the client was closed'));
      });
      if (this.#state.status === 'connecting') return;
      if (this.#state.status !== 'waiting') this.#backoff.failed = 0;
      this.#open();
    });
  }

  /** Closes the connection; ends streams, pending requests and reconnection. `connect()` may be called again. */
  close(): void {
    this.#shutDown(undefined);
  }

  /**
   * Subscribes to updates of one skill, of several (1 to 50) or, with null, of all. The subscription survives
   * reconnections. Resolves when the server has confirmed it; without a connection, when the next one is ready; before
   * `connect()`, immediately. Rejects with a RequestError if the server rejects it; the previous subscription remains.
   */
  async subscribe(skills: string | readonly string[] | null, options: SubscribeOptions = {}): Promise<void> {
    const subscription: Subscription = {
      type: 'subscribe',
      ...(Array.isArray(skills) ? { skill_names: [...skills] } : { skill_name: skills as string | null }),
      ...(options.minDeviation === undefined ? {} : { min_deviation: options.minDeviation }),
      ...(options.details === undefined ? {} : { details: options.details }),
    };
    await this.#setSubscription(subscription);
  }

  /** Stops metrics updates until `subscribe()`. */
  async unsubscribe(): Promise<void> {
    await this.#setSubscription({ type: 'unsubscribe' });
  }

  /** Also subscribes to updates of active sessions. The subscription survives reconnections. */
  async subscribeSessions(): Promise<void> {
    this.#sessionsDesired = true;
    if (this.#state.status !== 'open') return this.#whenOpen(SESSIONS);
    try {
      await this.#request({ type: 'subscribe_sessions' });
    } catch (error) {
      if (error instanceof RequestError) this.#sessionsDesired = false;
      throw error;
    }
  }

  /** Lifetime metrics of one skill. Rejects with a RequestError of code `invalid_skill_name` if it is unknown. */
  async getMetrics(skill: string): Promise<SkillMetrics> {
    const answer = await this.#request({ type: 'get_metrics', skill_name: skill });
    if (answer.type !== 'metrics_response') throw new SessionBuddyError(`unexpected response: ${answer.type}`);
    return answer.data;
  }

  /** Round-trip time of a ping in milliseconds. */
  async ping(): Promise<number> {
    const begin = performance.now();
    await this.#request({ type: 'ping' });
    return performance.now() - begin;
  }

  /**
   * A stream of metrics updates, from now on. It ends with `close()`, or with an error when the client gives up; it
   * continues across reconnections.
   */
  updates(): BoundedStream<MetricsUpdate> {
    return this.#stream(this.#metricsStreams);
  }

  /** A stream of session updates; call `subscribeSessions()` to receive them. */
  sessionUpdates(): BoundedStream<SessionUpdate> {
    return this.#stream(this.#sessionStreams);
  }

  #stream<T>(streams: Set<BoundedStream<T>>): BoundedStream<T> {
    const stream: BoundedStream<T> = new BoundedStream(this.#options.maxBuffered ?? 64, () => streams.delete(stream));
    if (this.#state.status === 'closed') stream.end(this.#state.error);
    else streams.add(stream);
    return stream;
  }

  // ---- The connection

  #open(): void {
    clearTimeout(this.#retryTimer);
    this.#subscribed = false;
    this.#setState({
      status: 'connecting',
      attempt: this.#backoff.failed,
      maxAttempts: this.#backoff.policy.maxAttempts,
    });
    let socket: WebSocketLike;
    try {
      socket = new this.#WebSocket(this.url);
    } catch (error) {
      // An invalid URL: a retry would fail, too.
      this.#shutDown(new ConnectionError(error instanceof Error ? error.message : String(error)));
      return;
    }
    this.#socket = socket;
    this.#connectTimer = setTimeout(
      () => this.#abort(socket, new TimeoutError('the server did not respond in time')),
      this.#options.connectTimeout ?? 10_000,
    );
    socket.onopen = () => {
      this.#handshake(socket).catch((error: unknown) => {
        this.#abort(socket, error instanceof SessionBuddyError ? error : new SessionBuddyError(String(error)));
      });
    };
    socket.onmessage = (event: { data: unknown }) => this.#receive(socket, event.data);
    // onclose reports the error; without a listener here the package ws would end the process.
    socket.onerror = () => {};
    socket.onclose = (event: { code: number; reason: string }) => {
      this.#handleDisconnect(socket, closeError(event.code, event.reason));
    };
  }

  /** Authenticates and subscribes on an open socket. */
  async #handshake(socket: WebSocketLike): Promise<void> {
    const { token } = this.#options;
    const current = typeof token === 'function' ? await token() : token;
    if (socket !== this.#socket) return;
    if (current !== undefined && current !== '') await this.#sendRequest(socket, { type: 'auth', token: current });
    this.#subscribed = this.#subscription === null;
    // Calls may change the subscription while responses are pending.
    let subscription: Subscription | null = null;
    let sessions = false;
    while (subscription !== this.#subscription || (this.#sessionsDesired && !sessions)) {
      const requests: Promise<unknown>[] = [];
      if (subscription !== this.#subscription) {
        subscription = this.#subscription;
        if (subscription) requests.push(this.#resubscribe(socket, subscription));
        // The only subscription was rejected: continue without one.
        else this.#subscribed = true;
      }
      if (this.#sessionsDesired && !sessions) {
        sessions = true;
        requests.push(this.#resubscribe(socket, SESSIONS));
      }
      await Promise.all(requests);
      if (socket !== this.#socket) return;
    }
    clearTimeout(this.#connectTimer);
    this.#backoff.connected();
    this.#everOpen = true;
    this.#setState({ status: 'open' });
    this.#restartSilenceTimer(socket);
  }

  async #resubscribe(socket: WebSocketLike, desired: DesiredSubscription): Promise<void> {
    try {
      await this.#sendRequest(socket, desired);
      if (desired.type !== 'subscribe_sessions') this.#confirmed = desired;
    } catch (error) {
      // The server rejected the subscription; the connection itself is fine.
      if (!(error instanceof RequestError)) throw error;
      const waiting = [...this.#waiters].filter((each) => each.desired === desired);
      if (waiting.length === 0) {
        this.#emit('error', error);
        return;
      }
      if (desired.type === 'subscribe_sessions') this.#sessionsDesired = false;
      else if (this.#subscription === desired) this.#subscription = this.#confirmed;
      for (const each of waiting) each.reject(error);
    }
  }

  #receive(socket: WebSocketLike, data: unknown): void {
    if (socket !== this.#socket) return;
    this.#restartSilenceTimer(socket);
    let message: unknown;
    try {
      message = JSON.parse(String(data));
    } catch {
      message = undefined;
    }
    if (!isServerMessage(message)) {
      this.#emit('error', new SessionBuddyError('the server sent an invalid message'));
      return;
    }
    switch (message.type) {
      case 'metrics_update':
        if (!this.#subscribed) return;
        this.#backoff.updated();
        this.#emit('metrics', message);
        for (const stream of this.#metricsStreams) stream.push(message);
        return;
      case 'session_update':
        this.#emit('sessions', message);
        for (const stream of this.#sessionStreams) stream.push(message);
        return;
      case 'subscription_confirmed':
      case 'unsubscribed':
        this.#subscribed = true;
        break;
    }
    this.#handleResponse(message);
  }

  #handleResponse(message: Exclude<ServerMessage, MetricsUpdate | SessionUpdate>): void {
    const pending = message.request_id === undefined ? undefined : this.#pending.get(message.request_id);
    if (!pending) {
      // Ignore message types of later versions.
      if (message.type === 'error') this.#emit('error', new RequestError(message.message, message.code));
      return;
    }
    this.#pending.delete(message.request_id as string);
    clearTimeout(pending.timer);
    if (message.type === 'error') pending.reject(new RequestError(message.message, (message as ErrorMessage).code));
    else pending.resolve(message);
  }

  /** Restarts the keepalive timer, which pings a silent server. */
  #restartSilenceTimer(socket: WebSocketLike): void {
    clearTimeout(this.#silenceTimer);
    if (this.#state.status === 'connecting') return;
    this.#silenceTimer = setTimeout(() => {
      this.#sendRequest(socket, { type: 'ping' }).catch((error: unknown) => {
        if (error instanceof TimeoutError) this.#abort(socket, error);
      });
    }, this.#options.silence ?? 15_000);
  }

  /** Aborts a connection without waiting for the closing handshake, as the server may be gone. */
  #abort(socket: WebSocketLike, error: SessionBuddyError): void {
    this.#handleDisconnect(socket, error);
    discard(socket);
  }

  /** Ends all that waits for the socket, which it returns. */
  #detach(error: SessionBuddyError): WebSocketLike | null {
    for (const timer of [this.#retryTimer, this.#connectTimer, this.#silenceTimer]) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    this.#rejectPending(error);
    return socket;
  }

  #handleDisconnect(socket: WebSocketLike, error: SessionBuddyError): void {
    if (socket !== this.#socket) return;
    this.#detach(error);
    // A rejected token is fatal, unless a token function may return a newer one instead of an expired one.
    const fatal = error instanceof UnauthorizedError && !(this.#everOpen && typeof this.#options.token === 'function');
    const delay = fatal ? null : this.#backoff.lost();
    if (error instanceof UnauthorizedError) this.#everOpen = false;
    if (delay === null) {
      this.#shutDown(error);
      return;
    }
    this.#retryTimer = setTimeout(() => this.#open(), delay);
    this.#setState({
      status: 'waiting',
      attempt: this.#backoff.failed,
      maxAttempts: this.#backoff.policy.maxAttempts,
      delay,
      retryAt: Date.now() + delay,
      error,
    });
  }

  #shutDown(error: SessionBuddyError | undefined): void {
    const socket = this.#detach(error ?? new ConnectionError('the client was closed'));
    if (socket) discard(socket, 1000);
    for (const stream of [...this.#metricsStreams, ...this.#sessionStreams]) stream.end(error);
    this.#setState(error ? { status: 'closed', error } : { status: 'closed' });
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.#emit('state', state);
  }

  #emit<E extends keyof ClientEvents>(event: E, value: ClientEvents[E]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (listener as Listener<ClientEvents[E]>)(value);
      } catch (error) {
        // Report the error of a listener as uncaught, without affecting the other listeners.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  // ---- Requests

  async #setSubscription(subscription: Subscription): Promise<void> {
    this.#subscription = subscription;
    if (this.#state.status !== 'open') return this.#whenOpen(subscription);
    try {
      await this.#request(subscription);
      this.#confirmed = subscription;
    } catch (error) {
      // Rejected: the connection keeps the previous subscription.
      if (error instanceof RequestError && this.#subscription === subscription) this.#subscription = this.#confirmed;
      throw error;
    }
  }

  /** Resolves when the next connection is open with this subscription; rejects if the server rejects it. */
  #whenOpen(desired: DesiredSubscription): Promise<void> {
    if (this.#state.status === 'closed' || this.#state.status === 'idle') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cleanUp = () => {
        stop();
        this.#waiters.delete(waiting);
      };
      const rejected = (error: RequestError) => {
        cleanUp();
        reject(error);
      };
      const waiting = { desired, reject: rejected };
      this.#waiters.add(waiting);
      const stop = this.on('state', (state) => {
        if (state.status !== 'open' && state.status !== 'closed') return;
        cleanUp();
        if (state.status === 'open') resolve();
        else reject(state.error ?? new ConnectionError('the client was closed'));
      });
    });
  }

  async #request(request: Request): Promise<ServerMessage> {
    if (this.#state.status !== 'open' || !this.#socket) {
      throw new ConnectionError(`not connected (${this.#state.status})`);
    }
    return this.#sendRequest(this.#socket, request);
  }

  #sendRequest(socket: WebSocketLike, request: Request | Subscription): Promise<ServerMessage> {
    const limit = this.#options.maxPending ?? 64;
    if (this.#pending.size >= limit) {
      return Promise.reject(
        new SessionBuddyError(`maxPending reached (${limit} pending requests): await earlier requests first`),
      );
    }
    this.#requests += 1;
    const id = `c${this.#requests}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new TimeoutError(`${request.type} timed out`));
      }, this.#options.requestTimeout ?? 10_000);
      this.#pending.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ ...request, request_id: id }));
    });
  }

  #rejectPending(error: SessionBuddyError): void {
    for (const pending of [...this.#pending.values()]) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
