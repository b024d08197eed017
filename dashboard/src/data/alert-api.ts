// Requests for alerts, until the client library has them.
import { ApiError, SessionBuddyApi, UnauthorizedError } from 'session-buddy-client';
import type { Alert, AlertList, AlertsQuery, Mute } from '../alert-types.ts';

export class AlertApi extends SessionBuddyApi {
  readonly #base: URL;
  readonly #token: () => string | undefined;

  constructor(base: URL, { token }: { token: () => string | undefined }) {
    super(base, { token });
    this.#base = new URL('api/v1/', base);
    this.#token = token;
  }

  alerts(query: AlertsQuery, { signal }: { signal: AbortSignal }): Promise<AlertList> {
    const text = Object.entries(query).map(([name, value]) => [
      name,
      value instanceof Date ? value.toISOString().replace(/\.\d+Z$/, 'Z') : String(value),
    ]);
    return this.#send(`alerts?${new URLSearchParams(text)}`, { signal });
  }

  acknowledgeAlert(id: number, note: string): Promise<Alert> {
    return this.#send('alerts/acknowledge', { method: 'POST', body: JSON.stringify({ id, note }) });
  }

  mute(skill_name: string, options: { seconds?: number; reason?: string }): Promise<Mute> {
    return this.#send('mutes', { method: 'POST', body: JSON.stringify({ skill_name, ...options }) });
  }

  unmute(skillName: string): Promise<unknown> {
    return this.#send(`mutes?skill_name=${encodeURIComponent(skillName)}`, { method: 'DELETE' });
  }

  async #send<T>(path: string, init: RequestInit): Promise<T> {
    const token = this.#token();
    const headers = {
      'Content-Type': 'application/json',
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
    const response = await fetch(new URL(path, this.#base), { ...init, headers });
    const body = (await response.json().catch(() => ({}))) as { detail?: string; error?: string };
    if (response.ok) return body as T;
    const detail = body.detail ?? `HTTP ${response.status}`;
    if (response.status === 401 || body.error === 'insufficient_scope') throw new UnauthorizedError(detail);
    throw new ApiError(detail, response.status, body.error ?? '');
  }
}
