import type { Skill, SkillList, SkillSummary } from 'session-buddy-client';
import { describe, expect, test } from 'vitest';
import { INITIAL, missingSkills, PAGE_SIZE, queryOf, rowsOf } from '../src/skill-list.ts';

const skill = (skill_name: string, invocation_count = 1): Skill => ({
  skill_name,
  invocation_count,
  completed_count: invocation_count,
  avg_duration: 0,
  last_invocation_at: '2026-02-10T12:00:09Z',
});
const listed = (skill_name: string, count: number) =>
  ({
    skill_name,
    window: { ...skill(skill_name, count) },
    lifetime: { total_invocations: count * 10, completed_invocations: count * 9 },
  }) as unknown as SkillSummary;
const list = (...skills: SkillSummary[]): SkillList => ({
  at: '2026-02-10T12:00:10Z',
  total: skills.length,
  limit: PAGE_SIZE,
  offset: 0,
  skills,
});
const NONE = new Map<string, number>();

describe('the query', () => {
  test('has the search, the order and the page', () => {
    expect(queryOf({ ...INITIAL, search: 'a', order: 'asc', offset: 50 }, false)).toEqual({
      search: 'a',
      sort: 'invocation_count',
      order: 'asc',
      limit: PAGE_SIZE,
      offset: 50,
      sparkline: true,
    });
  });
  test('sorts by all invocations if the window is empty', () => {
    expect(queryOf(INITIAL, true).sort).toBe('total_invocations');
    expect(queryOf({ ...INITIAL, sort: 'skill_name' }, true).sort).toBe('skill_name');
  });
  test('of skills with anomalies has the largest deviations on one page', () => {
    expect(queryOf({ ...INITIAL, filter: 'deviations', order: 'asc', offset: 50 }, true)).toMatchObject({
      sort: 'deviation_score',
      order: 'desc',
      limit: 100,
      offset: 0,
    });
    expect(queryOf({ ...INITIAL, filter: 'active' }, false).active).toBe(true);
  });
});

describe('live skills that the list lacks', () => {
  const live = [skill('a'), skill('new')];
  test('are those of a complete, unfiltered list', () => {
    expect(missingSkills(INITIAL, list(listed('a', 2)), live)).toEqual([skill('new')]);
    expect(missingSkills({ ...INITIAL, search: 'a' }, list(listed('a', 2)), live)).toEqual([]);
    expect(missingSkills({ ...INITIAL, offset: 50 }, list(listed('a', 2)), live)).toEqual([]);
    expect(missingSkills({ ...INITIAL, filter: 'deviations' }, list(listed('a', 2)), live)).toEqual([]);
    expect(missingSkills(INITIAL, { ...list(listed('a', 2)), total: PAGE_SIZE + 1 }, live)).toEqual([]);
  });
});

describe('the rows', () => {
  const live = [skill('Beta', 5), skill('alpha', 9)];
  const names = (rows: { skill_name: string }[]) => rows.map((row) => row.skill_name);
  test('without a response are the live skills that match, on the first page only', () => {
    expect(names(rowsOf(INITIAL, null, live, [], NONE, false))).toEqual(['alpha', 'Beta']);
    expect(names(rowsOf({ ...INITIAL, search: 'BET' }, null, live, [], NONE, false))).toEqual(['Beta']);
    expect(rowsOf({ ...INITIAL, offset: 50 }, null, live, [], NONE, false)).toEqual([]);
  });
  test('have the missing skills, and live metrics where there are some', () => {
    const rows = rowsOf(INITIAL, list(listed('alpha', 2), listed('c', 7)), live, [skill('new', 8)], NONE, false);
    expect(rows.map((row) => [row.skill_name, row.invocation_count])).toEqual([
      ['alpha', 9],
      ['new', 8],
      ['c', 7],
    ]);
  });
  test('have the metrics of all time if the window is empty', () => {
    const [row] = rowsOf(INITIAL, list(listed('alpha', 2)), [], [], NONE, true);
    expect(row?.invocation_count).toBe(20);
  });
  test('of the filter for anomalies are the skills with an open one', () => {
    const rows = rowsOf(
      { ...INITIAL, filter: 'deviations' },
      list(listed('a', 2), listed('b', 3)),
      [],
      [],
      new Map([['a', 3]]),
      false,
    );
    expect(names(rows)).toEqual(['a']);
  });
});
