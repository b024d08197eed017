// The HTTP client: the read-only API under /api/v1, with typed responses and errors.
import type {
  AnomaliesQuery,
  AnomalyList,
  GroupList,
  GroupsQuery,
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
import { findMismatch, SHAPES } from './shape.js';

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

  sessions(query: SessionsQuery = {}, options?: CallOptions): Promise<SessionList> {
    return this.#get('sessions', { ...query }, options);
  }

  async #get<T>(path: keyof typeof SHAPES, query: Query, { signal }: CallOptions = {}): Promise<T> {
    const url = new URL(path, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, text(value));
    }
    const headers: Record<string, string> = { Accept: 'application/json' };
    const { token, maxBytes = MAX_BYTES } = this.#options;
    const current = typeof token === 'function' ? await token() : token;
    if (current) headers.Authorization = `Bearer ${current}`;
    const cached = this.#cache.get(url.href);
    if (cached) headers['If-None-Match'] = cached.etag;

    const timeout = AbortSignal.timeout(this.#options.timeout ?? 15_000);
    const init: RequestInit = {
      headers,
      // Bypass the HTTP cache: this client sends the conditional requests itself and needs to see the 304.
      cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    };
    try {
      const response = await (this.#options.fetch ?? fetch)(url, init);
      if (response.status === 304 && cached) return cached.body as T;
      if (!response.ok) throw await errorOf(response, maxBytes);
      const body: unknown = await jsonOf(response, maxBytes);
      const where = findMismatch(body, SHAPES[path]);
      if (where !== null) {
        throw new UnexpectedAnswerError(
          `not a response of a Session-Buddy server: ${where || 'the body'} is missing or has another type`,
        );
      }
      return this.#store(url.href, response.headers.get('ETag'), body) as T;
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
