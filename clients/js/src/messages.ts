// The messages of the WebSocket API v1.0, from its JSON Schemas.
import type { Auth } from './generated/auth.js';
import type { Authenticated } from './generated/authenticated.js';
import type { Error as ErrorMessage } from './generated/error.js';
import type { GetMetrics } from './generated/get_metrics.js';
import type { MetricsResponse } from './generated/metrics_response.js';
import type { Alert, Anomaly, MetricsUpdate } from './generated/metrics_update.js';
import type { Ping } from './generated/ping.js';
import type { Pong } from './generated/pong.js';
import type { SessionUpdate } from './generated/session_update.js';
import type { SessionsSubscribed } from './generated/sessions_subscribed.js';
import type { Subscribe } from './generated/subscribe.js';
import type { SubscribeSessions } from './generated/subscribe_sessions.js';
import type { SubscriptionConfirmed } from './generated/subscription_confirmed.js';
import type { Unsubscribe } from './generated/unsubscribe.js';
import type { Unsubscribed } from './generated/unsubscribed.js';

export type { Alert, AlertLevel, Anomaly, Details, ErrorCount, GrownError, Skill } from './generated/metrics_update.js';
export type { Session } from './generated/session_update.js';
export type {
  Auth,
  Authenticated,
  ErrorMessage,
  GetMetrics,
  MetricsResponse,
  MetricsUpdate,
  Ping,
  Pong,
  SessionsSubscribed,
  SessionUpdate,
  Subscribe,
  SubscribeSessions,
  SubscriptionConfirmed,
  Unsubscribe,
  Unsubscribed,
};

export type AnomalyType = Anomaly['anomaly_type'];
export type AlertKind = Alert['kind'];

/** Lifetime metrics of one skill. */
export type SkillMetrics = MetricsResponse['data'];

/** Messages that a client may send. */
export type Request = Auth | GetMetrics | Ping | Subscribe | SubscribeSessions | Unsubscribe;

/** Messages that the server sends. */
export type ServerMessage =
  | Authenticated
  | ErrorMessage
  | MetricsResponse
  | MetricsUpdate
  | Pong
  | SessionsSubscribed
  | SessionUpdate
  | SubscriptionConfirmed
  | Unsubscribed;
