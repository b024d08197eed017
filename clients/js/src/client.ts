// The WebSocket part: one connection that is made again when it breaks, its subscriptions and requests.
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
import { type ReconnectPolicy, reconnectDelay } from './reconnect.js';
import { BoundedStream } from './stream.js';

/** What this library needs of a WebSocket: the browser's, Node's or that of the package ws. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** A token, or a function that gives the one to use now; asked again for each connection. */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>);

export interface ClientOptions {
  /** Shown in the first message of each connection, never in the URL. */
  token?: TokenSource | undefined;
  /** Attempts to connect again, in a row, before giving up. Default: 5. */
  maxAttempts?: number;
  /** Milliseconds before the first of them; the n-th waits n times as long, and up to a fifth more. Default: 1000. */
  reconnectDelay?: number;
  /** Milliseconds between further attempts, in place of giving up. Default: null, which gives up. */
  slowReconnectDelay?: number | null;
  /** Milliseconds that a connection may take until it is ready. Default: 10,000. */
  connectTimeout?: number;
  /** Milliseconds that an answer may take. Default: 10,000. */
  requestTimeout?: number;
  /** Milliseconds of silence after which the server is asked whether it is still there. Default: 15,000. */
  silence?: number;
  /** Updates that wait for a `for await` that is slower than they come. Default: 64. */
  maxBuffered?: number;
  /** Requests that wait for their answers at a time. Default: 64. */
  maxPending?: number;
  /** Where there is no global WebSocket, as in Node 20: that of the package ws. */
  webSocket?: WebSocketConstructor;
}

/** Which anomalies a subscription brings, and with what. */
export interface SubscribeOptions {
  /** Leaves out anomalies with a smaller `deviation_score`. */
  minDeviation?: number;
  /** Adds what explains each anomaly. */
  details?: boolean;
}

export type ConnectionState =
  | { status: 'idle' }
  | { status: 'connecting'; attempt: number; maxAttempts: number }
  | { status: 'open' }
  /** Waits `delay` milliseconds, until `retryAt` (as Date.now() has it), before attempt number `attempt`. */
  | {
      status: 'waiting';
      attempt: number;
      maxAttempts: number;
      delay: number;
      retryAt: number;
      error: SessionBuddyError;
    }
  /** Over; `error` is absent after `close()`. */
  | { status: 'closed'; error?: SessionBuddyError };

export interface ClientEvents {
  /** A `metrics_update` of the present subscription. */
  metrics: MetricsUpdate;
  /** A `session_update`. */
  sessions: SessionUpdate;
  /** The state of the connection changed. */
  state: ConnectionState;
  /** Something failed that no call of yours waits for. The client goes on by itself. */
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
  1001: 'the server is going down',
  1006: 'the server cannot be reached, or the connection was cut',
  1008: 'the server closed the connection for too many messages',
  1009: 'a message was too big for the server',
  1013: 'all places of the server are taken',
};

function closeError(code: number, reason: string): SessionBuddyError {
  if (code === UNAUTHORIZED) return new UnauthorizedError(reason || 'the server asks for a token');
  const known = CLOSE_CODES[code] ?? `the connection was closed with code ${code}`;
  return new ConnectionError(reason && !(code in CLOSE_CODES) ? `${known}: ${reason}` : known, code);
}

function isServerMessage(value: unknown): value is ServerMessage {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/**
 * A connection to a Session-Buddy server that outlives restarts of it. After each reconnection it subscribes again to
 * what it was subscribed to, before it hands on any update.
 */
export class SessionBuddyClient {
  /** Connects and waits until the connection is ready. Throws where the first attempt fails. */
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
  readonly #policy: ReconnectPolicy;
  readonly #WebSocket: WebSocketConstructor;
  readonly #listeners = new Map<keyof ClientEvents, Set<Listener<never>>>();
  readonly #metricsStreams = new Set<BoundedStream<MetricsUpdate>>();
  readonly #sessionStreams = new Set<BoundedStream<SessionUpdate>>();
  readonly #pending = new Map<string, Pending>();

  #state: ConnectionState = { status: 'idle' };
  #socket: WebSocketLike | null = null;
  #attempt = 0;
  #everOpen = false;
  #requests = 0;
  #subscription: Subscription | null = null;
  /** The last one that the server has confirmed; what a refused one falls back to. */
  #confirmed: Subscription | null = null;
  /** Calls that wait for the next connection to have what they desired for. */
  readonly #waiters = new Set<{ desired: DesiredSubscription; reject: (error: RequestError) => void }>();
  #sessionsDesired = false;
  /** Updates count only once this connection has the subscription that was asked for. */
  #subscribed = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #connectTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;
  #silenceTimer: ReturnType<typeof setTimeout> | undefined;

  /** Does not connect yet: `connect()` does, after listeners have been added. */
  constructor(url: string | URL, options: ClientOptions = {}) {
    this.url = String(url).replace(/^http/, 'ws');
    this.#options = options;
    this.#policy = {
      delay: options.reconnectDelay ?? 1000,
      maxAttempts: options.maxAttempts ?? 5,
      slowDelay: options.slowReconnectDelay ?? null,
    };
    const WebSocket = options.webSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (!WebSocket) {
      throw new SessionBuddyError(
        'this JavaScript has no WebSocket of its own: use Node 22 or later, or hand in that of the package ws as the option webSocket',
      );
    }
    this.#WebSocket = WebSocket;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Adds a listener and gives the function that removes it. */
  on<E extends keyof ClientEvents>(event: E, listener: Listener<ClientEvents[E]>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  /**
   * Connects, and waits until the server can be asked. Rejects where this attempt fails; unless the token was refused,
   * or no further attempts are allowed, these go on all the same until `close()`.
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
      if (this.#state.status !== 'waiting') this.#attempt = 0;
      this.#open();
    });
  }

  /** Ends everything: streams, requests that wait, attempts. `connect()` may begin anew. */
  close(): void {
    this.#shutDown(undefined);
  }

  /**
   * Asks for the updates of one skill, of several (1 to 50) or, with null, of all. It holds over reconnections. Resolves
   * when the server has confirmed it; while there is no connection, when the next one is ready; before `connect()`, at once.
   * Rejects with a RequestError where the server refuses it; what was confirmed before then holds on.
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

  /** No more updates of metrics until `subscribe()`. */
  async unsubscribe(): Promise<void> {
    await this.#setSubscription({ type: 'unsubscribe' });
  }

  /** Asks for the updates of active sessions as well. It holds over reconnections. */
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

  /** Lifetime figures of one skill. Rejects with a RequestError of code `invalid_skill_name` where it is unknown. */
  async getMetrics(skill: string): Promise<SkillMetrics> {
    const answer = await this.#request({ type: 'get_metrics', skill_name: skill });
    if (answer.type !== 'metrics_response') throw new SessionBuddyError(`unexpected answer: ${answer.type}`);
    return answer.data;
  }

  /** Milliseconds from a ping to its pong. */
  async ping(): Promise<number> {
    const begin = performance.now();
    await this.#request({ type: 'ping' });
    return performance.now() - begin;
  }

  /**
   * Updates of metrics as they come, from now on. Ends with `close()`, or by an error where the connection is lost for
   * good; over a reconnection it simply goes on.
   */
  updates(): BoundedStream<MetricsUpdate> {
    return this.#stream(this.#metricsStreams);
  }

  /** Updates of sessions in the same way; `subscribeSessions()` asks for them. */
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
    this.#setState({ status: 'connecting', attempt: this.#attempt, maxAttempts: this.#policy.maxAttempts });
    let socket: WebSocketLike;
    try {
      socket = new this.#WebSocket(this.url);
    } catch (error) {
      // A URL that is none; no later attempt would do better.
      this.#shutDown(new ConnectionError(error instanceof Error ? error.message : String(error)));
      return;
    }
    this.#socket = socket;
    this.#connectTimer = setTimeout(
      () => this.#abort(socket, new TimeoutError('the server did not answer in time')),
      this.#options.connectTimeout ?? 10_000,
    );
    socket.onopen = () => {
      this.#handshake(socket).catch((error: unknown) => {
        this.#abort(socket, error instanceof SessionBuddyError ? error : new SessionBuddyError(String(error)));
      });
    };
    socket.onmessage = (event: { data: unknown }) => this.#receive(socket, event.data);
    // What it was comes with onclose; the package ws ends the program where nobody listens.
    socket.onerror = () => {};
    socket.onclose = (event: { code: number; reason: string }) => {
      this.#handleDisconnect(socket, closeError(event.code, event.reason));
    };
  }

  /** From the open socket to a connection that is authenticated and subscribed. */
  async #handshake(socket: WebSocketLike): Promise<void> {
    const { token } = this.#options;
    const present = typeof token === 'function' ? await token() : token;
    if (socket !== this.#socket) return;
    if (present !== undefined && present !== '') await this.#sendRequest(socket, { type: 'auth', token: present });
    this.#subscribed = this.#subscription === null;
    // More may be wished for while the answers are on their way.
    let subscription: Subscription | null = null;
    let sessions = false;
    while (subscription !== this.#subscription || (this.#sessionsDesired && !sessions)) {
      const requests: Promise<unknown>[] = [];
      if (subscription !== this.#subscription) {
        subscription = this.#subscription;
        if (subscription) requests.push(this.#resubscribe(socket, subscription));
        // The only one was refused: the connection is as it was.
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
    // One that is made and lost at once is no better than none: the attempts begin anew once it has lasted for a while.
    const next = this.#attempt + 1;
    this.#stableTimer = setTimeout(
      () => {
        this.#attempt = 0;
      },
      reconnectDelay(this.#policy, next, 0) ?? this.#policy.delay * next,
    );
    this.#everOpen = true;
    this.#setState({ status: 'open' });
    this.#restartSilenceTimer(socket);
  }

  async #resubscribe(socket: WebSocketLike, desired: DesiredSubscription): Promise<void> {
    try {
      await this.#sendRequest(socket, desired);
      if (desired.type !== 'subscribe_sessions') this.#confirmed = desired;
    } catch (error) {
      // The server does not like the subscription itself; the connection is good all the same.
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
      this.#emit('error', new SessionBuddyError('the server sent something that is no message'));
      return;
    }
    switch (message.type) {
      case 'metrics_update':
        if (!this.#subscribed) return;
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
      // Types that this version does not know are for later ones.
      if (message.type === 'error') this.#emit('error', new RequestError(message.message, message.code));
      return;
    }
    this.#pending.delete(message.request_id as string);
    clearTimeout(pending.timer);
    if (message.type === 'error') pending.reject(new RequestError(message.message, (message as ErrorMessage).code));
    else pending.resolve(message);
  }

  /** Starts anew the time after which a silent server is asked for a sign of life. */
  #restartSilenceTimer(socket: WebSocketLike): void {
    clearTimeout(this.#silenceTimer);
    if (this.#state.status === 'connecting') return;
    this.#silenceTimer = setTimeout(() => {
      this.#sendRequest(socket, { type: 'ping' }).catch((error: unknown) => {
        if (error instanceof TimeoutError) this.#abort(socket, error);
      });
    }, this.#options.silence ?? 15_000);
  }

  /** Gives up a socket without waiting for the other side, which may be gone. */
  #abort(socket: WebSocketLike, error: SessionBuddyError): void {
    this.#handleDisconnect(socket, error);
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    try {
      socket.close();
    } catch {
      // It never opened.
    }
  }

  #handleDisconnect(socket: WebSocketLike, error: SessionBuddyError): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#silenceTimer);
    this.#rejectPending(error);
    // A refused token stays refused, unless there is a function that may know a newer one than the one that expired.
    const fatal = error instanceof UnauthorizedError && !(this.#everOpen && typeof this.#options.token === 'function');
    this.#attempt += 1;
    const delay = fatal ? null : reconnectDelay(this.#policy, this.#attempt, Math.random());
    if (error instanceof UnauthorizedError) this.#everOpen = false;
    if (delay === null) {
      this.#shutDown(error);
      return;
    }
    this.#retryTimer = setTimeout(() => this.#open(), delay);
    this.#setState({
      status: 'waiting',
      attempt: this.#attempt,
      maxAttempts: this.#policy.maxAttempts,
      delay,
      retryAt: Date.now() + delay,
      error,
    });
  }

  #shutDown(error: SessionBuddyError | undefined): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#stableTimer);
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = null;
    this.#rejectPending(error ?? new ConnectionError('the client was closed'));
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
      try {
        socket.close(1000);
      } catch {
        // It never opened.
      }
    }
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
        // A fault of the listener, to be reported as such and to disturb nobody else.
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
      // Refused, so that the connection still has the one before.
      if (error instanceof RequestError && this.#subscription === subscription) this.#subscription = this.#confirmed;
      throw error;
    }
  }

  /** Waits for the connection that is being made or waited for to have it; rejects where the server refuses. */
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
      return Promise.reject(new SessionBuddyError(`${limit} requests wait for their answers already`));
    }
    this.#requests += 1;
    const id = `c${this.#requests}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new TimeoutError(`no answer to ${request.type} came in time`));
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
