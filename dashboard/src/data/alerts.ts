// Polls the list of alerts, and acknowledges, mutes and unmutes.
import { useEffect } from 'preact/hooks';
import type { Alert, AlertList, AlertsQuery, Mute } from 'session-buddy-client';
import { ApiError, UnauthorizedError } from 'session-buddy-client';
import { isNewer } from '../rows.ts';
import { api, changeAlerts, type LiveState, live } from './live.ts';
import { usePoll } from './poll.ts';
import { Store, useStore } from './store.ts';

/** Alerts of the list; the page shows fewer, but finds open ones among them if there is no live connection. */
const LIST_LENGTH = 50;

/** A server without alerts responds with 404. */
export async function listAlerts(query: AlertsQuery, signal: AbortSignal): Promise<AlertList | 'unsupported'> {
  try {
    return await api.alerts(query, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return 'unsupported';
    throw error;
  }
}

/** Polls the list for all views, again when an alert started or ended. */
export function useAlertList(): void {
  const { data, error, refresh } = usePoll('alerts', (signal) => listAlerts({ limit: LIST_LENGTH }, signal));
  useEffect(() => {
    if (data) live.set({ alertList: data });
  }, [data]);
  useEffect(() => live.set({ alertListError: error }), [error]);
  const newest = useStore(live, (state) => state.events[0]?.id ?? 0);
  useEffect(() => {
    if (newest > 0) refresh();
  }, [newest, refresh]);
}

const NONE: never[] = [];

export function listIn({ alertList }: LiveState): AlertList | null {
  return alertList === 'unsupported' ? null : alertList;
}

/** From the WebSocket, unless it is stalled and the API has newer data; null while unknown. */
export function alertsIn(state: LiveState): readonly Alert[] | null {
  const { update, alerts } = state;
  const list = listIn(state);
  return alerts && update && isNewer(update, list?.at) ? alerts : (list?.alerts ?? alerts);
}

export function useAlerts(): readonly Alert[] {
  return useStore(live, alertsIn) ?? NONE;
}

export function useMutes(): readonly Mute[] {
  return useStore(live, listIn)?.mutes ?? NONE;
}

// ---- Changes. Each rejects with an error whose message says what to do.

async function confirmed<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !live.state.hasToken) throw error;
    throw new Error(`${error.message}. “Remove the token” at the end of the page asks for another one.`);
  }
}

export async function acknowledge(id: number, note: string): Promise<void> {
  const { acknowledged_at, note: stored } = await confirmed(api.acknowledgeAlert(id, note));
  changeAlerts(
    (alert) => (alert.id === id ? { ...alert, acknowledged_at, note: stored } : alert),
    ({ mutes }) => mutes,
  );
}

/** `seconds` is null until the mute is removed. */
export async function mute(skillName: string, seconds: number | null, reason: string): Promise<void> {
  const added = await confirmed(api.mute(skillName, { ...(seconds === null ? {} : { seconds }), reason }));
  changeAlerts(
    (alert) => (alert.skill_name === skillName ? { ...alert, muted: true } : alert),
    ({ mutes }) => [added, ...mutes.filter((each) => each.skill_name !== skillName)],
  );
}

export async function unmute(skillName: string): Promise<void> {
  try {
    await confirmed(api.unmute(skillName));
  } catch (error) {
    // Another viewer was faster, or its time is over.
    if (!(error instanceof ApiError && error.code === 'not_muted')) throw error;
  }
  changeAlerts(
    (alert) => (alert.skill_name === skillName ? { ...alert, muted: false } : alert),
    ({ mutes }) => mutes.filter((each) => each.skill_name !== skillName),
  );
}

/** What the dialog asks for: a note for an alert, or how long to mute a skill. */
export type Question = { what: 'acknowledge'; id: number; skillName: string } | { what: 'mute'; skillName: string };

export const dialog = new Store<{ question: Question | null }>({ question: null });

export function ask(question: Question | null): void {
  dialog.set({ question });
}
