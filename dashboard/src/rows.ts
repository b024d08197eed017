// Rows of the skills table: data of the HTTP API, merged with newer metrics from the WebSocket.
import type {
  MetricsUpdate,
  Skill,
  SkillGroup,
  SkillSort,
  SkillSummary,
  Sparkline,
  WindowMetrics,
} from 'session-buddy-client';
import { moment } from './format.ts';
import { type Outcomes, outcomesOf, successRate } from './outcomes.ts';
import type { Interval } from './wilson.ts';

/** Metrics under their names in the API. A metric that a source does not report is absent. */
type Metrics = Partial<WindowMetrics> &
  Pick<WindowMetrics, 'invocation_count' | 'completed_count' | 'avg_duration' | 'last_invocation_at'>;

export interface SkillRow extends Metrics {
  skill_name: string;
  outcomes: Outcomes;
  completion_rate: number | null;
  /** The success rate with its 95 % interval; null without a known outcome. */
  interval: Interval | null;
  /** Null if only the WebSocket has reported the skill. */
  total_invocations: number | null;
  sparkline: Sparkline | null;
}

function row(skill_name: string, metrics: Metrics, summary: SkillSummary | null): SkillRow {
  const outcomes = outcomesOf(metrics.invocation_count, metrics.completed_count, metrics.unknown_count);
  const interval = successRate(outcomes);
  return {
    ...metrics,
    skill_name,
    outcomes,
    completion_rate: interval?.rate ?? null,
    interval,
    total_invocations: summary?.lifetime.total_invocations ?? null,
    sparkline: summary?.sparkline ?? null,
  };
}

/** The metrics of a live message, and those that only the API reports. */
export function rowOfLive(skill: Skill, summary: SkillSummary | null): SkillRow {
  // Live messages have 0.0 if no completed invocation has a duration; the API has null.
  const avg_duration = skill.avg_duration > 0 ? skill.avg_duration : null;
  return row(skill.skill_name, { ...summary?.window, ...skill, avg_duration }, summary);
}

/** A row with all-time metrics, for an empty window. */
export function rowOfLifetime({ sparkline: _, ...summary }: SkillSummary): SkillRow {
  const { total_invocations, completed_invocations, unknown_invocations, avg_duration_seconds, last_invocation_at } =
    summary.lifetime;
  const metrics = {
    invocation_count: total_invocations,
    completed_count: completed_invocations,
    unknown_count: unknown_invocations,
    avg_duration: avg_duration_seconds,
    last_invocation_at,
  };
  return row(summary.skill_name, metrics, summary);
}

export function rowOfSummary(summary: SkillSummary): SkillRow {
  const last_invocation_at = summary.window.last_invocation_at ?? summary.lifetime.last_invocation_at;
  return row(summary.skill_name, { ...summary.window, last_invocation_at }, summary);
}

/** The tools of one MCP server. */
export interface ServerRow extends SkillRow {
  tools: number;
}

/** The group prefix of the API; the name of the server follows. */
const MCP = 'mcp:';

/** `idle` if the window is empty: the row then has the metrics of all time, which have no durations. */
export function rowOfServer({ group, skill_count, window, lifetime }: SkillGroup, idle: boolean): ServerRow {
  const { last_invocation_at } = lifetime;
  const metrics: Metrics = idle
    ? {
        invocation_count: lifetime.total_invocations,
        completed_count: lifetime.completed_invocations,
        unknown_count: lifetime.unknown_invocations,
        avg_duration: null,
        last_invocation_at,
      }
    : { ...window, last_invocation_at: window.last_invocation_at ?? last_invocation_at };
  const name = group.startsWith(MCP) ? group.slice(MCP.length) : group;
  return { ...row(name, metrics, null), total_invocations: lifetime.total_invocations, tools: skill_count };
}

/** What the names of all tools of an MCP server begin with. */
export function toolPrefix(server: string): string {
  return `mcp__${server}__`;
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
  if (sort === 'deviation_score') return scores.get(row.skill_name) ?? null;
  // Absent if the source does not report it.
  const metric = row[sort];
  return typeof metric === 'string' ? moment(metric) : (metric ?? null);
}

/** Ties sort by name; rows without a value come last in both orders. `scores` has the deviations by skill. */
export function sortRows<Row extends SkillRow>(
  rows: readonly Row[],
  sort: SkillSort,
  order: SortOrder,
  scores: ReadonlyMap<string, number>,
): Row[] {
  const sign = order === 'asc' ? 1 : -1;
  const byName = (a: SkillRow, b: SkillRow) => (a.skill_name < b.skill_name ? -1 : a.skill_name > b.skill_name ? 1 : 0);
  return [...rows].sort((a, b) => {
    if (sort === 'skill_name') return sign * byName(a, b);
    const left = value(a, sort, scores);
    const right = value(b, sort, scores);
    if (left === null || right === null) return left === right ? byName(a, b) : left === null ? 1 : -1;
    return sign * (left - right) || byName(a, b);
  });
}
