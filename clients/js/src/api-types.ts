// Answers of the HTTP API v1. Times are UTC, `YYYY-MM-DDTHH:MM:SSZ`; durations are seconds; rates are fractions 0 to 1.
import type { Anomaly, Details } from './generated/metrics_update.js';
import type { Session } from './generated/session_update.js';

export type AnomalyType = Anomaly['anomaly_type'];

/** `GET /api/v1/server` */
export interface ServerInfo {
  version: string;
  api_version: string;
  started_at: string;
  /** When the figures that are served now were computed. */
  at: string | null;
  age_seconds: number | null;
  update_interval_seconds: number;
  window_seconds: number;
  anomaly_threshold: number;
  push: boolean;
  database: { readable: boolean; reason: string | null };
  clients: number;
  skills: number;
  active_sessions: number;
  anomalies: number;
}

/** Figures over the server's window (24 hours unless configured). */
export interface WindowFigures {
  invocation_count: number;
  completed_count: number;
  completion_rate: number | null;
  /** Bounds of the 95 % Wilson interval. */
  completion_rate_low: number | null;
  completion_rate_high: number | null;
  avg_duration: number | null;
  last_invocation_at: string | null;
}

export interface LifetimeFigures {
  total_invocations: number;
  completed_invocations: number;
  completion_rate: number | null;
  avg_duration_seconds: number | null;
  last_invocation_at: string | null;
}

/** Counts of each step, the last of which is going on. */
export interface Sparkline {
  from: string;
  step_seconds: number;
  invocation_count: number[];
  completed_count: number[];
}

export interface SkillSummary {
  skill_name: string;
  window: WindowFigures;
  lifetime: LifetimeFigures;
  /** Those that are going on. */
  anomalies: Omit<Anomaly, 'skill_name'>[];
  sparkline?: Sparkline;
}

/** `GET /api/v1/skills` */
export interface SkillList {
  at: string | null;
  total: number;
  limit: number;
  offset: number;
  skills: SkillSummary[];
}

export type SkillSort =
  | 'invocation_count'
  | 'skill_name'
  | 'completion_rate'
  | 'avg_duration'
  | 'last_invocation_at'
  | 'deviation_score'
  | 'total_invocations';

export interface PhaseFigures {
  workflow_phase: string | null;
  invocation_count: number;
  completed_count: number;
  completion_rate: number | null;
  avg_duration: number | null;
}

/** `GET /api/v1/skill` */
export interface SkillDetail extends SkillSummary {
  at: string | null;
  first_invocation_at: string | null;
  errors: { error_type: string; count: number }[];
  phases: PhaseFigures[];
}

export interface SeriesPoint {
  /** When the step begins. */
  at: string;
  invocation_count: number;
  completed_count: number;
  avg_duration: number | null;
  p50_duration: number | null;
  p95_duration: number | null;
}

/** `GET /api/v1/series` */
export interface Series {
  skill_name: string | null;
  from: string;
  to: string;
  step_seconds: number;
  points: SeriesPoint[];
}

export interface AnomalyEpisode extends Omit<Anomaly, 'details'> {
  id: number;
  detected_at: string;
  resolved_at: string | null;
  details: Details | null;
}

/** `GET /api/v1/anomalies` */
export interface AnomalyList {
  at: string | null;
  total: number;
  limit: number;
  offset: number;
  anomalies: AnomalyEpisode[];
}

/** `GET /api/v1/sessions` */
export interface SessionList {
  at: string | null;
  total: number;
  window_seconds: number;
  sessions: Session[];
}
