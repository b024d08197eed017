// Live state: the connection, the newest update, alerts and their events, active sessions.

import {
  type Alert,
  type AlertList,
  type ConnectionState,
  type MetricsUpdate,
  type Mute,
  type ServerInfo,
  type Session,
  SessionBuddyApi,
  SessionBuddyClient,
  UnauthorizedError,
} from 'session-buddy-client';
import { type AlertEvent, AlertTracker } from '../alert-tracker.ts';
import { ConfirmedChanges } from '../confirmed-changes.ts';
import { moment } from '../format.ts';
import { ServerClock } from './clock.ts';
import { Store } from './store.ts';
import { storedText } from './stored-text.ts';

export interface LiveState {
  connection: ConnectionState;
  update: MetricsUpdate | null;
  /** Of the newest update, with later changes of this page; null if the server sends none. */
  alerts: Alert[] | null;
  /** The last response of the HTTP API; `unsupported` if the server has no alerts. */
  alertList: AlertList | 'unsupported' | null;
  /** Why `alertList` is stale or missing. */
  alertListError: Error | null;
  /** Newest first, at most MAX_EVENTS. */
  events: AlertEvent[];
  sessions: Session[] | null;
  /** From the HTTP API; null before its first response. */
  server: ServerInfo | null;
  /** Why `server` is stale or missing. */
  serverError: Error | null;
  /** Why the server rejected the authentication; null if it did not. */
  tokenRequired: string | null;
  /** Whether the token dialog is open; a button in the header reopens it. */
  tokenDialogOpen: boolean;
  hasToken: boolean;
  /** Incremented to restart all polls: after a reconnection, or with a new token. */
  generation: number;
}

const MAX_EVENTS = 50;

const token = storedText('session-buddy-token', () => sessionStorage);
const source = () => token.get();
const tracker = new AlertTracker();
const confirmed = new ConfirmedChanges();
const client = new SessionBuddyClient(new URL('ws', document.baseURI), {
  token: source,
  maxAttempts: null,
});

export const clock = new ServerClock();
export const api = new SessionBuddyApi(new URL('.', document.baseURI), { token: source });
export const live = new Store<LiveState>({
  connection: client.state,
  update: null,
  alerts: null,
  alertList: null,
  alertListError: null,
  events: [],
  sessions: null,
  server: null,
  serverError: null,
  tokenRequired: null,
  tokenDialogOpen: true,
  hasToken: token.get() !== undefined,
  generation: 0,
});

function applyUpdate(update: MetricsUpdate): void {
  const at = moment(update.timestamp) ?? Date.now();
  clock.observe(at);
  const { alerts: sent } = update.data;
  const alerts = sent ? confirmed.apply(sent, Date.now()) : null;
  const events = alerts ? tracker.observe(alerts, at) : [];
  const log = events.length > 0 ? [...events.reverse(), ...live.state.events].slice(0, MAX_EVENTS) : live.state.events;
  live.set({ update, alerts, events: log });
}

/** Applies a change that the server has confirmed to this page, without events. */
export function changeAlerts(change: (alert: Alert) => Alert, mutesOf: (list: AlertList) => Mute[]): void {
  confirmed.add(change, Date.now());
  const { alerts, alertList: list } = live.state;
  const changed = alerts?.map(change) ?? null;
  if (changed) tracker.observe(changed, clock.now());
  const isList = list !== null && list !== 'unsupported';
  live.set({
    alerts: changed,
    alertList: isList ? { ...list, alerts: list.alerts.map(change), mutes: mutesOf(list) } : list,
  });
}

export function applyServerInfo(server: ServerInfo): void {
  const at = moment(server.at);
  if (at !== null && server.age_seconds !== null) clock.set(at + server.age_seconds * 1000);
  live.set({ server });
}

/** If the error is a rejected authentication, shows the token dialog and returns true. */
export function handleUnauthorized(error: unknown): boolean {
  if (!(error instanceof UnauthorizedError)) return false;
  live.set({ tokenRequired: error.message });
  return true;
}

/** Opens or closes the token dialog. */
export function showTokenDialog(tokenDialogOpen: boolean): void {
  live.set({ tokenDialogOpen });
}

/** Reconnects immediately. */
export function retry(): void {
  // The result arrives as a state event.
  client.connect().catch(() => {});
}

/** Reconnects with this token. */
export function setToken(text: string): void {
  token.set(text);
  live.set({ tokenRequired: null, tokenDialogOpen: true, hasToken: true, generation: live.state.generation + 1 });
  restart();
}

export function forgetToken(): void {
  token.set(undefined);
  live.set({ hasToken: false, tokenDialogOpen: true });
  restart();
}

function restart(): void {
  client.close();
  retry();
}

export function start(): void {
  let opened = false;
  client.on('metrics', applyUpdate);
  client.on('sessions', (update) => live.set({ sessions: update.data.active_sessions }));
  client.on('state', (connection) => {
    if (connection.status === 'closed' && connection.error instanceof UnauthorizedError) {
      live.set({ connection, tokenRequired: connection.error.message });
    } else if (connection.status === 'open') {
      live.set({ connection, generation: live.state.generation + (opened ? 1 : 0) });
      opened = true;
    } else {
      live.set({ connection });
    }
  });
  void client.subscribe(null, { details: true });
  void client.subscribeSessions();
  retry();
  // Reconnect immediately after the machine wakes up or the network returns.
  const reconnectNow = () => {
    if (document.visibilityState === 'visible' && client.state.status === 'waiting') retry();
  };
  window.addEventListener('online', reconnectNow);
  document.addEventListener('visibilitychange', reconnectNow);
}
