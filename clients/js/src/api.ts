// The HTTP client: the queries and commands under /api/v1, with typed responses and errors.
import type {
  AlertList,
  AlertsQuery,
  AnomaliesQuery,
  AnomalyList,
  GroupList,
  GroupsQuery,
  Mute,
  MuteOptions,
  Series,
  SeriesQuery,
  ServerInfo,
  SessionList,
  SessionsQuery,
  SkillDetail,
  SkillList,
  SkillsQuery,
} from './api-types.js';
import type { TokenSource } from './client.js';
import {
  ApiError,
  ConnectionError,
  SessionBuddyError,
  TimeoutError,
  UnauthorizedError,
  UnexpectedAnswerError,
} from './errors.js';
import type { Alert } from './messages.js';
import { ANSWERS, findMismatch, SHAPES, type Shape } from './shape.js';

export interface ApiOptions {
  /** Bearer token, sent in the `Authorization` header, never in the URL. */
  token?: TokenSource | undefined;
  /** Timeout in milliseconds of a request. Default: 15,000. */
  timeout?: number;
  /** Maximum size of a response body, in bytes. Default: 16 MiB. */
  maxBytes?: number;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
}

export interface CallOptions {
  signal?: AbortSignal;
}

const MAX_BYTES = 16 * 1024 * 1024;

/** Maximum number of responses that are cached for conditional requests. */
const MAX_CACHED = 64;

type Query = Record<string, string | number | boolean | Date | undefined>;

function text(value: string | number | boolean | Date): string {
  return value instanceof Date ? value.toISOString().replace(/\.\d+Z$/, 'Z') : String(value);
}

/**
 * A client of the HTTP API. It sends conditional requests: an unchanged response is the same object as before, and only
 * its headers are transferred.
 */
export class SessionBuddyApi {
  readonly #base: URL;
  readonly #options: ApiOptions;
  readonly #cache = new Map<string, { etag: string; body: unknown }>();

  /** `base` is the URL of the server, including the path prefix of a reverse proxy. */
  constructor(base: string | URL, options: ApiOptions = {}) {
    const folder = new URL(String(base).replace(/^ws/, 'http'));
    if (!folder.pathname.endsWith('/')) folder.pathname += '/';
    this.#base = new URL('api/v1/', folder);
    this.#options = options;
  }

  server(options?: CallOptions): Promise<ServerInfo> {
    return this.#get('server', {}, options);
  }

  skills(query: SkillsQuery = {}, options?: CallOptions): Promise<SkillList> {
    return this.#get('skills', { ...query }, options);
  }

  /** The MCP servers, each with the sums over its tools, most invocations first. */
  groups(query: GroupsQuery = {}, options?: CallOptions): Promise<GroupList> {
    return this.#get('groups', { ...query }, options);
  }

  /** Rejects with an ApiError of code `unknown_skill` if there is no such skill. */
  skill(skillName: string, options?: CallOptions): Promise<SkillDetail> {
    return this.#get('skill', { skill_name: skillName }, options);
  }

  series(query: SeriesQuery = {}, options?: CallOptions): Promise<Series> {
    return this.#get('series', { ...query }, options);
  }

  anomalies(query: AnomaliesQuery = {}, options?: CallOptions): Promise<AnomalyList> {
    return this.#get('anomalies', { ...query }, options);
  }

  /** Rejects with an ApiError of status 404 if the server is too old to have alerts. */
  alerts(query: AlertsQuery = {}, options?: CallOptions): Promise<AlertList> {
    return this.#get('alerts', { ...query }, options);
  }

  sessions(query: SessionsQuery = {}, options?: CallOptions): Promise<SessionList> {
    return this.#get('sessions', { ...query }, options);
  }

  /** Rejects with an ApiError of code `unknown_alert` if there is no such alert. */
  acknowledgeAlert(id: number, note = '', options?: CallOptions): Promise<Alert> {
    return this.#post('alerts/acknowledge', { id, note }, ANSWERS.alert, options);
  }

  /** Mutes a skill for `seconds`; without them until `unmute()`. */
  mute(skillName: string, muting: MuteOptions = {}, options?: CallOptions): Promise<Mute> {
    return this.#post('mutes', { skill_name: skillName, ...muting }, ANSWERS.mute, options);
  }

  /** Rejects with an ApiError of code `not_muted` if the skill is not muted. */
  async unmute(skillName: string, options?: CallOptions): Promise<void> {
    const url = this.#url('mutes', { skill_name: skillName });
    await this.#fetch(url, { method: 'DELETE' }, {}, ANSWERS.removed, options);
  }

  async #get<T>(path: keyof typeof SHAPES, query: Query, options?: CallOptions): Promise<T> {
    const url = this.#url(path, query);
    const cached = this.#cache.get(url.href);
    const headers: Record<string, string> = cached ? { 'If-None-Match': cached.etag } : {};
    const { response, body } = await this.#fetch(url, {}, headers, SHAPES[path], options);
    if (response.status === 304 && cached) return cached.body as T;
    return this.#store(url.href, response.headers.get('ETag'), body) as T;
  }

  async #post<T>(path: string, command: unknown, shape: Shape, options?: CallOptions): Promise<T> {
    const init = { method: 'POST', body: JSON.stringify(command) };
    const { body } = await this.#fetch(
      this.#url(path, {}),
      init,
      { 'Content-Type': 'application/json' },
      shape,
      options,
    );
    return body as T;
  }

  #url(path: string, query: Query): URL {
    const url = new URL(path, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, text(value));
    }
    return url;
  }

  /** The response, and its body, which has `shape`; a 304 has none. */
  async #fetch(
    url: URL,
    init: RequestInit,
    extra: Record<string, string>,
    shape: Shape,
    { signal }: CallOptions = {},
  ): Promise<{ response: Response; body: unknown }> {
    const headers: Record<string, string> = { Accept: 'application/json', ...extra };
    const { token, maxBytes = MAX_BYTES } = this.#options;
    const current = typeof token === 'function' ? await token() : token;
    if (current) headers.Authorization = `Bearer ${current}`;

    const timeout = AbortSignal.timeout(this.#options.timeout ?? 15_000);
    try {
      const response = await (this.#options.fetch ?? fetch)(url, {
        ...init,
        headers,
        // Bypass the HTTP cache: this client sends the conditional requests itself and needs to see the 304.
        cache: 'no-store',
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      if (response.status === 304 && 'If-None-Match' in headers) return { response, body: null };
      if (!response.ok) throw await errorOf(response, maxBytes);
      const body: unknown = await jsonOf(response, maxBytes);
      const where = findMismatch(body, shape);
      if (where !== null) {
        throw new UnexpectedAnswerError(
          `not a response of a Session-Buddy server: ${where || 'the body'} is missing or has another type`,
        );
      }
      return { response, body };
    } catch (error) {
      if (error instanceof SessionBuddyError || signal?.aborted) throw error;
      if (timeout.aborted) throw new TimeoutError('the server did not respond in time');
      throw new ConnectionError('the server is unreachable, or its response was truncated');
    }
  }

  /** Returns the cached body instead of `body` if a concurrent request has already received the same response. */
  #store(url: string, etag: string | null, body: unknown): unknown {
    const known = this.#cache.get(url);
    this.#cache.delete(url);
    if (etag === null) return body;
    const stored = known?.etag === etag ? known : { etag, body };
    this.#cache.set(url, stored);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    return stored.body;
  }
}

/** Reads and parses the body, at most `maxBytes` of it. */
async function jsonOf(response: Response, maxBytes: number): Promise<unknown> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let json = '';
  for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
    bytes += piece.value.byteLength;
    if (bytes > maxBytes) {
      await reader?.cancel();
      throw new UnexpectedAnswerError(`the response is larger than maxBytes (${maxBytes} bytes)`);
    }
    json += decoder.decode(piece.value, { stream: true });
  }
  return JSON.parse(json + decoder.decode());
}

/** Converts a problem (RFC 9457), or the error response of a proxy, into an error. */
async function errorOf(response: Response, maxBytes: number): Promise<ApiError | UnauthorizedError> {
  const body: unknown = await jsonOf(response, maxBytes).catch(() => null);
  const problem = (typeof body === 'object' && body !== null ? body : {}) as { detail?: unknown; error?: unknown };
  const detail = typeof problem.detail === 'string' ? problem.detail : `HTTP ${response.status} ${response.statusText}`;
  if (response.status === 401 || problem.error === 'insufficient_scope') return new UnauthorizedError(detail);
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN);
  return new ApiError(
    detail,
    response.status,
    typeof problem.error === 'string' ? problem.error : '',
    ...(Number.isFinite(retryAfter) ? [retryAfter] : []),
  );
}
