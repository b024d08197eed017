// The list of skills as the viewer selected it: the query for the server, and the rows from its response.
import type { Skill, SkillList, SkillSort, SkillsQuery } from 'session-buddy-client';
import { mergeRows, rowOfLifetime, rowOfLive, type SkillRow, type SortOrder, sortRows } from './rows.ts';

export const PAGE_SIZE = 50;

export type Filter = 'all' | 'active' | 'deviations' | 'servers';

export interface Selection {
  search: string;
  filter: Filter;
  sort: SkillSort;
  order: SortOrder;
  /** Index of the first row of the page. */
  offset: number;
}

export const INITIAL: Selection = { search: '', filter: 'all', sort: 'invocation_count', order: 'desc', offset: 0 };

export function reversed(order: SortOrder): SortOrder {
  return order === 'asc' ? 'desc' : 'asc';
}

/** What the selection requests; `idle` if the window is empty. */
export function queryOf({ search, filter, sort, order, offset }: Selection, idle: boolean): SkillsQuery {
  const shared = { ...(search ? { search } : {}), sparkline: true };
  // The hundred largest deviations are enough for one page.
  if (filter === 'deviations') return { ...shared, sort: 'deviation_score', order: 'desc', limit: 100, offset: 0 };
  return {
    ...shared,
    ...(filter === 'active' ? { active: true } : {}),
    sort: idle && sort === 'invocation_count' ? 'total_invocations' : sort,
    order,
    limit: PAGE_SIZE,
    offset,
  };
}

/** Live skills that a complete list lacks: first used just now, or used again after a long time. */
export function missingSkills({ search, filter, offset }: Selection, list: SkillList, live: readonly Skill[]): Skill[] {
  if (search || filter === 'deviations' || offset > 0 || list.total > PAGE_SIZE) return [];
  return live.filter((skill) => !list.skills.some((each) => each.skill_name === skill.skill_name));
}

/** The sorted rows. Without a response the most active skills replace the first page, but no later one. */
export function rowsOf(
  { search, filter, sort, order, offset }: Selection,
  list: SkillList | null,
  live: readonly Skill[],
  missing: readonly Skill[],
  /** The largest deviation by skill. */
  scores: ReadonlyMap<string, number>,
  idle: boolean,
): SkillRow[] {
  const fromLive = (skill: Skill) => rowOfLive(skill, null);
  const found = () => live.filter((skill) => skill.skill_name.toLowerCase().includes(search.toLowerCase()));
  const all = !list
    ? (offset > 0 ? [] : found()).map(fromLive)
    : idle
      ? list.skills.map(rowOfLifetime)
      : [...mergeRows(list.skills, live), ...missing.map(fromLive)];
  const rows = filter === 'deviations' ? all.filter((row) => scores.has(row.skill_name)) : all;
  return sortRows(rows, sort, order, scores);
}
