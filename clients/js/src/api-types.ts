// Responses and query parameters of the HTTP API v1, from its OpenAPI document. Times are UTC, `YYYY-MM-DDTHH:MM:SSZ`; durations
// are seconds; rates are fractions from 0 to 1.
import type { components, operations } from './generated/openapi.js';

type Schemas = components['schemas'];
type Query<O extends 'listSkills' | 'listGroups' | 'getSeries' | 'listAnomalies' | 'listAlerts' | 'listSessions'> =
  NonNullable<operations[O]['parameters']['query']>;
type WithDates<Q> = Omit<Q, 'from' | 'to'> & { from?: Date | string; to?: Date | string };

export type ServerInfo = Schemas['Server'];
export type SkillSummary = Schemas['Skill'];
export type SkillList = Schemas['SkillList'];
export type SkillDetail = Schemas['SkillDetail'];
export type WindowMetrics = Schemas['Window'];
export type LifetimeMetrics = Schemas['Lifetime'];
export type PhaseMetrics = Schemas['Phase'];
export type OpenAnomaly = Schemas['OpenAnomaly'];
export type Sparkline = Schemas['Sparkline'];
/** The tools of one MCP server, summed. */
export type SkillGroup = Schemas['Group'];
export type GroupList = Schemas['GroupList'];
export type Series = Schemas['Series'];
export type SeriesPoint = Schemas['Point'];
export type AnomalyEpisode = Schemas['Anomaly'];
export type AnomalyList = Schemas['AnomalyList'];
export type AlertList = Schemas['AlertList'];
/** A skill whose alerts do not interrupt. */
export type Mute = Schemas['Mute'];
export type SessionList = Schemas['SessionList'];

export type SkillsQuery = Query<'listSkills'>;
export type SkillSort = NonNullable<SkillsQuery['sort']>;
export type GroupsQuery = Query<'listGroups'>;
export type SeriesQuery = Omit<WithDates<Query<'getSeries'>>, 'step'> & { step?: number | string };
export type AnomaliesQuery = WithDates<Query<'listAnomalies'>>;
export type AlertsQuery = WithDates<Query<'listAlerts'>>;
export type MuteOptions = Omit<Schemas['NewMute'], 'skill_name'>;
export type SessionsQuery = Query<'listSessions'>;
