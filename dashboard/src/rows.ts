// Rows of the skills table: data of the HTTP API, merged with newer metrics from the WebSocket.
import type { MetricsUpdate, Skill, SkillSort, SkillSummary, Sparkline } from 'session-buddy-client';
import { moment } from './format.ts';
import { wilson } from './wilson.ts';

export interface SkillRow {
  name: string;
  invocations: number;
  completed: number;
  rate: number | null;
  low: number | null;
  high: number | null;
  avgDuration: number | null;
  lastAt: number | null;
  /** Null if only the WebSocket has reported the skill. */
  totalInvocations: number | null;
  sparkline: Sparkline | null;
}

function row(
  name: string,
  invocations: number,
  completed: number,
  avgDuration: number | null,
  lastAt: number | null,
  summary: SkillSummary | null,
): SkillRow {
  const interval = wilson(completed, invocations);
  return {
    name,
    invocations,
    completed,
    rate: invocations > 0 ? completed / invocations : null,
    low: interval?.low ?? null,
    high: interval?.high ?? null,
    avgDuration,
    lastAt,
    totalInvocations: summary?.lifetime.total_invocations ?? null,
    sparkline: summary?.sparkline ?? null,
  };
}

/** Live messages have 0.0 if no completed invocation has a duration; the API has null. */
function liveDuration(skill: Skill): number | null {
  return skill.avg_duration > 0 ? skill.avg_duration : null;
}

export function rowOfLive(skill: Skill, summary: SkillSummary | null): SkillRow {
  return row(
    skill.skill_name,
    skill.invocation_count,
    skill.completed_count,
    liveDuration(skill),
    moment(skill.last_invocation_at),
    summary,
  );
}

/** A row with all-time metrics, for an empty window. */
export function rowOfLifetime(summary: SkillSummary): SkillRow {
  const { total_invocations, completed_invocations, avg_duration_seconds, last_invocation_at } = summary.lifetime;
  const { sparkline: _, ...rest } = summary;
  const lastAt = moment(last_invocation_at);
  return row(summary.skill_name, total_invocations, completed_invocations, avg_duration_seconds, lastAt, rest);
}

export function rowOfSummary(summary: SkillSummary): SkillRow {
  return row(
    summary.skill_name,
    summary.window.invocation_count,
    summary.window.completed_count,
    summary.window.avg_duration,
    moment(summary.window.last_invocation_at) ?? moment(summary.lifetime.last_invocation_at),
    summary,
  );
}

/** Whether an update is at least as new as an API response of time `at`; false when the WebSocket is stalled. */
export function isNewer(update: MetricsUpdate, at: string | null | undefined): boolean {
  return (moment(update.timestamp) ?? 0) >= (moment(at) ?? 0);
}

/** The live skills, if they are at least as new as an API response of time `at`. */
export function liveSkills(update: MetricsUpdate | null, at: string | null | undefined): readonly Skill[] {
  return update && isNewer(update, at) ? update.data.top_skills : [];
}

/** The skills of one page of the API, with newer metrics for those that are live. */
export function mergeRows(summaries: readonly SkillSummary[], live: readonly Skill[]): SkillRow[] {
  const newer = new Map(live.map((skill) => [skill.skill_name, skill]));
  return summaries.map((summary) => {
    const skill = newer.get(summary.skill_name);
    return skill ? rowOfLive(skill, summary) : rowOfSummary(summary);
  });
}

export type SortOrder = 'asc' | 'desc';

function value(row: SkillRow, sort: SkillSort, scores: ReadonlyMap<string, number>): number | null {
  switch (sort) {
    case 'completion_rate':
      return row.rate;
    case 'avg_duration':
      return row.avgDuration;
    case 'last_invocation_at':
      return row.lastAt;
    case 'deviation_score':
      return scores.get(row.name) ?? null;
    case 'total_invocations':
      return row.totalInvocations;
    default:
      return row.invocations;
  }
}

/** Ties sort by name; rows without a value come last in both orders. `scores` has the open anomalies by skill. */
export function sortRows(
  rows: readonly SkillRow[],
  sort: SkillSort,
  order: SortOrder,
  scores: ReadonlyMap<string, number>,
): SkillRow[] {
  const sign = order === 'asc' ? 1 : -1;
  const byName = (a: SkillRow, b: SkillRow) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return [...rows].sort((a, b) => {
    if (sort === 'skill_name') return sign * byName(a, b);
    const left = value(a, sort, scores);
    const right = value(b, sort, scores);
    if (left === null || right === null) return left === right ? byName(a, b) : left === null ? 1 : -1;
    return sign * (left - right) || byName(a, b);
  });
}
