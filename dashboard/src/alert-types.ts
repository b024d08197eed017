// The alerts of the HTTP API and of WebSocket updates with details.
export interface AlertLevel {
  value: number;
  low: number;
  high: number;
  samples: number;
}

export interface Alert {
  id: number | null;
  skill_name: string;
  kind: 'completion_rate_fell' | 'completion_rate_rose' | 'duration_rose' | 'duration_fell' | 'silence';
  detected_at: string;
  since: string;
  since_low: string;
  since_high: string;
  before: AlertLevel;
  after: AlertLevel;
  once_in_seconds: number;
  failures_in_a_row: number;
  errors: { error_type: string; before: number; after: number; count: number }[];
  session_id: string | null;
  session_share: number;
  sessions: number;
  ended_at: string | null;
  end: 'recovered' | 'accepted' | null;
  acknowledged_at: string | null;
  note: string;
  muted: boolean;
}

export interface Mute {
  skill_name: string;
  muted_at: string;
  until: string | null;
  reason: string;
}

export interface AlertList {
  at: string;
  budget: string;
  total: number;
  alerts: Alert[];
  mutes: Mute[];
}

export interface AlertsQuery {
  skill_name?: string;
  from?: Date;
  to?: Date;
  limit?: number;
}
