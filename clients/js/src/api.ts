// The HTTP part: the read-only API under /api/v1, with typed answers and errors.
import type {
  AnomaliesQuery,
  AnomalyList,
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
  /** Shown as `Authorization: Bearer`, never in the URL. */
  token?: TokenSource | undefined;
  /** Milliseconds that an answer may take. Default: 15,000. */
  timeout?: number;
  /** Bytes that the body of an answer may have. Default: 16 MiB. */
  maxBytes?: number;
  /** In place of the global one. */
  fetch?: typeof fetch;
}

export interface CallOptions {
  signal?: AbortSignal;
}

const MAX_BYTES = 16 * 1024 * 1024;

/** Answers that are cached for the server to say that they are still current. */
const MAX_CACHED = 64;

type Query = Record<string, string | number | boolean | Date | undefined>;

function text(value: string | number | boolean | Date): string {
  return value instanceof Date ? value.toISOString().replace(/\.\d+Z$/, 'Z') : String(value);
}

/**
 * The HTTP API of a server. An answer that did not change since it was last asked for is the same object again, and
 * costs a header on the wire.
 */
export class SessionBuddyApi {
  readonly #base: URL;
  readonly #options: ApiOptions;
  readonly #cache = new Map<string, { etag: string; body: unknown }>();

  /** `base` is the server's address, with the path that a proxy may have put it under. */
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

  /** Rejects with an ApiError of code `unknown_skill` where there is no such skill. */
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
    const present = typeof token === 'function' ? await token() : token;
    if (present) headers.Authorization = `Bearer ${present}`;
    const cached = this.#cache.get(url.href);
    if (cached) headers['If-None-Match'] = cached.etag;

    const timeout = AbortSignal.timeout(this.#options.timeout ?? 15_000);
    const init: RequestInit = {
      headers,
      // The conditions are ours; a cache in between would hide from us that nothing changed.
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
          `the answer is not one of a Session-Buddy server (${where || 'the whole of it'} is missing or of another type)`,
        );
      }
      this.#store(url.href, response.headers.get('ETag'), body);
      return body as T;
    } catch (error) {
      if (error instanceof SessionBuddyError || signal?.aborted) throw error;
      if (timeout.aborted) throw new TimeoutError('the server did not answer in time');
      throw new ConnectionError('the server cannot be reached, or its answer was cut');
    }
  }

  #store(url: string, etag: string | null, body: unknown): void {
    this.#cache.delete(url);
    if (etag === null) return;
    this.#cache.set(url, { etag, body });
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
  }
}

/** The body, of which no more is read than `maxBytes`. */
async function jsonOf(response: Response, maxBytes: number): Promise<unknown> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  let json = '';
  for (let piece = await reader?.read(); piece?.value !== undefined; piece = await reader?.read()) {
    bytes += piece.value.byteLength;
    if (bytes > maxBytes) {
      await reader?.cancel();
      throw new UnexpectedAnswerError(`the answer is longer than ${maxBytes} bytes (maxBytes)`);
    }
    json += decoder.decode(piece.value, { stream: true });
  }
  return JSON.parse(json + decoder.decode());
}

/** Of a problem (RFC 9457), or of whatever a proxy in between made of it. */
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
