import {
  ConnectionError,
  type ConnectionState,
  type MetricsUpdate,
  type ServerInfo,
  type Skill,
  type SkillSummary,
} from 'session-buddy-client';
import { describe, expect, test } from 'vitest';
import { CHARTS } from '../src/charts/history-charts.ts';
import { connectionLabel, disconnectedMessage, staleAfter } from '../src/connection.ts';
import { ServerClock } from '../src/data/clock.ts';
import { failed, initialState, succeeded } from '../src/data/query-state.ts';
import { storedText } from '../src/data/stored-text.ts';
import { areBounds, type Durations, quantileText } from '../src/durations.ts';
import { hasMeans, historyData } from '../src/history.ts';
import { endOfHistory, idleSince } from '../src/idle.ts';
import { limitsSentence } from '../src/limits.ts';
import { nameParts, plainName } from '../src/names.ts';
import { outcomesOf, outcomeText, successRate } from '../src/outcomes.ts';
import { bounds, RANGES } from '../src/ranges.ts';
import { HELP_HREF, parseRoute, skillHref } from '../src/route.ts';
import { isNewer, liveSkills, mergeRows, rowOfLifetime, rowOfServer, sortRows, toolPrefix } from '../src/rows.ts';
import { wilson } from '../src/wilson.ts';

describe('the Wilson interval', () => {
  // Expected values computed independently, with 50 digits, from the definition of Brown, Cai and DasGupta.
  test.each([
    [38, 42, 0.7793, 0.9623],
    [0, 10, 0, 0.2775],
    [10, 10, 0.7225, 1],
    [1, 1, 0.2065, 1],
  ])('of %s in %s is %s to %s', (good, total, low, high) => {
    const interval = wilson(good, total);
    expect(interval?.low).toBeCloseTo(low, 4);
    expect(interval?.high).toBeCloseTo(high, 4);
  });
  test('without trials is null', () => expect(wilson(0, 0)).toBeNull());
});

describe('reached limits of tracked names', () => {
  test.each([
    [[], null],
    [['max_tracked_skills'], 'More skills than max_tracked_skills: the rest is summed as other.'],
    [
      ['max_tracked_sessions', 'max_tracked_error_types'],
      'More sessions than max_tracked_sessions and more error types than max_tracked_error_types: the rest is summed as other.',
    ],
  ])('%j', (options, sentence) => expect(limitsSentence(options)).toBe(sentence));
});

describe('an empty window', () => {
  const server = (invocation_count: number, last_invocation_at: string | null) =>
    ({ invocation_count, lifetime: { last_invocation_at } }) as ServerInfo;
  const LAST = '2026-02-10T12:00:00Z';
  test('shows the time of the last invocation', () => {
    expect(idleSince(server(0, LAST), 0)).toBe(Date.parse(LAST));
  });
  test.each([
    ['it has an invocation', server(1, LAST), 0],
    ['the newest update has a skill', server(0, LAST), 1],
    ['nothing was ever recorded', server(0, null), 0],
    ['the server info is missing', null, 0],
  ])('is not reported if %s', (_, info, skills) => expect(idleSince(info, skills)).toBeNull());
  test('shows the metrics of all time', () => {
    const { invocation_count, interval, sparkline } = rowOfLifetime(summary('mypy', 0));
    expect(invocation_count).toBe(summary('mypy', 0).lifetime.total_invocations);
    expect(interval).not.toBeNull();
    expect(sparkline).toBeNull();
  });
  test('ends a history at the last invocation if that is older than a day', () => {
    const last = Date.parse(LAST);
    expect(endOfHistory(last, last + 12 * 86_400_000)).toBe(last);
    expect(endOfHistory(last, last + 3_600_000)).toBeNull();
    expect(endOfHistory(null, last)).toBeNull();
  });
});

describe('the route', () => {
  const names = ['pytest-run', 'a/b', '100 %', '#', '..', 'تحليل', ' ', 'a?b&c=d', '\u202e'];
  test.each(names)('to %j and back', (skillName) => {
    expect(parseRoute(skillHref(skillName))).toEqual({ view: 'skill', skillName });
  });
  test.each(['', '#', '#/', '#/skill/', '#/skill/%', '#main'])('%j is the overview', (hash) => {
    expect(parseRoute(hash)).toEqual({ view: 'overview' });
  });
  test('to the explanation of the metrics', () => expect(parseRoute(HELP_HREF)).toEqual({ view: 'help' }));
});

describe('a name', () => {
  test.each([
    ['pytest-run', 'pytest-run'],
    ['zero\u200bwidth', 'zero[U+200B]width'],
    ['\u202egnirts', '[U+202E]gnirts'],
    [' ', '[U+0020]'],
    ['a  b', 'a [U+0020]b'],
    ['a\u00a0b', 'a[U+00A0]b'],
    ['\u3164', '[U+3164]'],
    ['👩\u200d💻', '👩\u200d💻'],
    ['می\u200cخواهم', 'می\u200cخواهم'],
    ['pay\u200dpal', 'pay[U+200D]pal'],
    ['日本語', '日本語'],
  ])('%j is shown as %j', (name, shown) => expect(plainName(name)).toBe(shown));
  test('separates visible text from invisible characters', () => {
    expect(nameParts('a\u200bb')).toEqual([{ text: 'a' }, { hidden: 'U+200B' }, { text: 'b' }]);
  });
});

function summary(skill_name: string, invocation_count: number, completed_count = invocation_count): SkillSummary {
  return {
    skill_name,
    window: {
      invocation_count,
      completed_count,
      unknown_count: 0,
      completion_rate: invocation_count ? completed_count / invocation_count : null,
      completion_rate_low: null,
      completion_rate_high: null,
      avg_duration: 1,
      p50_duration: 0.8,
      p95_duration: 2,
      measured_count: invocation_count,
      last_invocation_at: invocation_count ? '2026-02-10T12:00:00Z' : null,
    },
    lifetime: {
      total_invocations: 100,
      completed_invocations: 90,
      unknown_invocations: 10,
      completion_rate: 80 / 90,
      avg_duration_seconds: 1,
      last_invocation_at: '2026-02-01T12:00:00Z',
    },
    anomalies: [],
  };
}

function skill(skill_name: string, invocation_count: number): Skill {
  return {
    skill_name,
    invocation_count,
    completed_count: invocation_count,
    avg_duration: 0,
    last_invocation_at: '2026-02-10T12:00:09Z',
  };
}

describe('the rows of the skills table', () => {
  test('have live metrics if there are any, and keep the data that only the API has', () => {
    const [live, other] = mergeRows([summary('a', 4), summary('b', 3)], [skill('a', 9), skill('elsewhere', 1)]);
    expect(live).toMatchObject({
      skill_name: 'a',
      invocation_count: 9,
      total_invocations: 100,
      avg_duration: null,
      last_invocation_at: '2026-02-10T12:00:09Z',
    });
    expect(other).toMatchObject({ skill_name: 'b', invocation_count: 3 });
  });

  test('keep metrics that only the API reports, under their names', () => {
    const listed = summary('a', 4);
    const withMetric = { ...listed, window: { ...listed.window, p95_duration: 7 } };
    expect(mergeRows([withMetric], [skill('a', 9)])).toMatchObject([{ invocation_count: 9, p95_duration: 7 }]);
    expect(mergeRows([withMetric], [])).toMatchObject([{ invocation_count: 4, p95_duration: 7 }]);
    expect(rowOfLifetime(withMetric)).not.toHaveProperty('p95_duration');
  });

  test('have rates of known outcomes, and none without a known outcome', () => {
    const some: Skill = { ...skill('a', 10), completed_count: 8, unknown_count: 4 };
    const all: Skill = { ...skill('b', 3), unknown_count: 3 };
    const rows = mergeRows([summary('a', 9), summary('b', 2)], [some, all]);
    expect(rows).toMatchObject([
      { completion_rate: 4 / 6, outcomes: { completed: 4, failed: 2, unknown: 4 } },
      { completion_rate: null, interval: null, outcomes: { completed: 0, failed: 0, unknown: 3 } },
    ]);
    expect(rows[0]?.interval).toEqual(wilson(4, 6));
    expect(rowOfLifetime(summary('a', 0))).toMatchObject({
      completion_rate: 80 / 90,
      outcomes: { completed: 80, failed: 10, unknown: 10 },
    });
  });

  test('of MCP servers have the sums over their tools', () => {
    const { window, lifetime } = summary('mcp__github__search', 4, 3);
    const { avg_duration_seconds: _, ...sums } = lifetime;
    const group = { group: 'mcp:github', skill_count: 7, window: { ...window, unknown_count: 2 }, lifetime: sums };
    expect(rowOfServer(group, false)).toMatchObject({
      skill_name: 'github',
      tools: 7,
      completion_rate: 1 / 2,
      p50_duration: 0.8,
      total_invocations: 100,
    });
    expect(rowOfServer(group, true)).toMatchObject({ invocation_count: 100, avg_duration: null });
    expect(toolPrefix('github')).toBe('mcp__github__');
  });

  test('have live metrics only from an update that is no older than the response', () => {
    const update: MetricsUpdate = {
      type: 'metrics_update',
      timestamp: '2026-02-10T12:00:10Z',
      data: { top_skills: [skill('a', 9)], anomalies: [] },
    };
    expect(liveSkills(update, undefined)).toEqual(update.data.top_skills);
    expect(liveSkills(update, '2026-02-10T12:00:10Z')).toEqual(update.data.top_skills);
    expect(liveSkills(update, '2026-02-10T12:00:11Z')).toEqual([]);
    expect(liveSkills(null, '2026-02-10T12:00:11Z')).toEqual([]);
    expect(isNewer(update, null)).toBe(true);
  });

  test('without an invocation in the window have no rate, but a last invocation', () => {
    const [row] = mergeRows([summary('a', 0)], []);
    expect(row).toMatchObject({
      completion_rate: null,
      interval: null,
      last_invocation_at: '2026-02-01T12:00:00Z',
    });
  });

  test('are sorted with ties by name, and with missing values last in both directions', () => {
    const rows = mergeRows([summary('c', 5, 1), summary('none', 0), summary('b', 5, 4), summary('a', 5, 4)], []);
    const names = (order: 'asc' | 'desc') =>
      sortRows(rows, 'completion_rate', order, new Map()).map((row) => row.skill_name);
    expect(names('asc')).toEqual(['c', 'a', 'b', 'none']);
    expect(names('desc')).toEqual(['a', 'b', 'c', 'none']);
    expect(sortRows(rows, 'deviation_score', 'desc', new Map([['b', 3]]))[0]?.skill_name).toBe('b');
    expect(sortRows(rows, 'skill_name', 'desc', new Map()).map((row) => row.skill_name)).toEqual([
      'none',
      'c',
      'b',
      'a',
    ]);
  });
});

describe('the connection label', () => {
  const error = new ConnectionError('connection lost');
  const waiting = { status: 'waiting', attempt: 2, maxAttempts: null, delay: 2000, retryAt: 12_400, error } as const;
  test.each<[ConnectionState, boolean, boolean, string]>([
    [{ status: 'idle' }, true, false, 'Connecting…'],
    [{ status: 'connecting', attempt: 0, maxAttempts: null }, true, false, 'Connecting…'],
    [{ status: 'connecting', attempt: 3, maxAttempts: null }, true, true, 'Reconnecting…'],
    [waiting, true, true, 'Reconnecting in 3 s'],
    [{ status: 'open' }, true, false, 'No data yet'],
    [{ status: 'open' }, true, true, 'Live'],
    [{ status: 'open' }, false, true, 'No new data'],
    [{ status: 'closed', error }, true, true, 'Not connected'],
  ])('%o, fresh: %s, any data: %s', (state, fresh, hasData, label) => {
    expect(connectionLabel(state, false, fresh, hasData, 10_000).label).toBe(label);
  });
  test('shows a required token before anything else', () => {
    expect(connectionLabel({ status: 'closed' }, true, true, true, 0).label).toBe('Token required');
  });
  test('reports an unresponsive server only if its API does not respond, either', () => {
    expect(disconnectedMessage(true, true).headline).toBe('No live connection.');
    expect(disconnectedMessage(false, true)).toEqual({
      headline: 'The server is not responding.',
      detail: 'The page shows the last data received.',
    });
    expect(disconnectedMessage(false, false).detail).toMatch(/^There is no data to show/);
  });
  test('data is stale after three missed updates, and after at least five seconds', () => {
    expect([undefined, 0.05, 1, 10].map(staleAfter)).toEqual([5, 5, 5, 31]);
  });
});

describe('the outcomes', () => {
  test.each([
    [10, 8, undefined, { completed: 8, failed: 2, unknown: 0 }, '2 failed', 0.8],
    [10, 8, 4, { completed: 4, failed: 2, unknown: 4 }, '2 failed, 4 unknown', 4 / 6],
    [3, 3, 3, { completed: 0, failed: 0, unknown: 3 }, '0 failed, 3 unknown', null],
    [0, 0, 0, { completed: 0, failed: 0, unknown: 0 }, '0 failed', null],
  ])('of %s invocations with %s completed, %s of them unknown', (all, completed, unknown, outcomes, text, rate) => {
    expect(outcomesOf(all, completed, unknown)).toEqual(outcomes);
    expect(outcomeText(outcomes)).toBe(text);
    expect(successRate(outcomes)?.rate ?? null).toBe(rate);
  });
});

describe('durations', () => {
  test.each<[string, Durations, boolean, string]>([
    ['with measured ones', { p50_duration: 5, measured_count: 3 }, false, '5.0 s'],
    ['with upper bounds only', { p50_duration: 5, measured_count: 0 }, true, '≤ 5.0 s'],
    ['without any', { p50_duration: null, measured_count: 0 }, false, '–'],
    ['of a source that does not report which are measured', { p50_duration: 5 }, false, '5.0 s'],
    ['of a source without quantiles', {}, false, '–'],
  ])('%s', (_, durations, bounds, text) => {
    expect(areBounds(durations)).toBe(bounds);
    expect(quantileText(durations.p50_duration, bounds)).toBe(text);
  });
});

test('a history shows unknown outcomes, and rates of the known ones', () => {
  const point = { avg_duration: 1, p50_duration: 1, p95_duration: 1 };
  const data = historyData({
    skill_name: 'a',
    from: '2026-02-10T12:00:00Z',
    to: '2026-02-10T14:00:00Z',
    step_seconds: 3600,
    points: [
      { ...point, at: '2026-02-10T12:00:00Z', invocation_count: 10, completed_count: 8, unknown_count: 4 },
      { ...point, at: '2026-02-10T13:00:00Z', invocation_count: 2, completed_count: 2, unknown_count: 2 },
    ],
  });
  const [invocations, rate] = CHARTS;
  expect(data.steps.map((step) => invocations?.step(step))).toEqual([
    '4 completed, 2 failed, 4 unknown',
    '0 completed, 0 failed, 2 unknown',
  ]);
  expect(data.steps.map((step) => rate?.step(step))).toEqual([
    '66.7 % of 6 with a known outcome',
    'unknown: no known outcome of 2',
  ]);
  // From the top of the bars: failed, unknown, completed.
  expect(data.steps.map((step) => invocations?.curves.map(({ value }) => value(step)))).toEqual([
    [10, 8, 4],
    [2, 2, 0],
  ]);
  expect(invocations?.legend(data, []).map(([kind]) => kind)).toEqual(['completed', 'unknown', 'failed']);
  expect([invocations?.summary(data), rate?.summary(data)]).toEqual([
    '12 invocations, 2 failed, 6 unknown',
    '66.7 % overall',
  ]);
  expect(rate?.summary({ ...data, steps: data.steps.slice(1) })).toBe('unknown');
  const duration = CHARTS[2];
  expect(duration?.legend(data, [])[0]).toEqual(['line', 'median']);
  expect(duration?.legend({ ...data, bounds: true }, [])[0]).toEqual(['line', 'median, may include waits']);
});

test('the mean of pruned hours is not shown as a median', () => {
  const point = { invocation_count: 4, completed_count: 3, unknown_count: 0, avg_duration: 6 };
  const data = historyData({
    skill_name: 'a',
    from: '2026-02-10T12:00:00Z',
    to: '2026-02-10T15:00:00Z',
    step_seconds: 3600,
    points: [
      { ...point, at: '2026-02-10T12:00:00Z', p50_duration: null, p95_duration: null },
      { ...point, at: '2026-02-10T13:00:00Z', p50_duration: 5, p95_duration: 9 },
      {
        at: '2026-02-10T14:00:00Z',
        invocation_count: 0,
        completed_count: 0,
        unknown_count: 0,
        avg_duration: null,
        p50_duration: null,
        p95_duration: null,
      },
    ],
  });
  expect(data.steps).toMatchObject([
    { p50: null, p95: null, mean: 6, rate: 0.75, failed: 1 },
    { p50: 5, p95: 9, mean: null, rate: 0.75, failed: 1 },
    { p50: null, p95: null, mean: null, rate: null, failed: 0 },
  ]);
  expect(hasMeans(data)).toBe(true);
  expect(hasMeans({ ...data, steps: data.steps.slice(1) })).toBe(false);
  const durations = CHARTS[2];
  expect(data.steps.slice(0, 2).map((step) => durations?.step(step))).toEqual([
    'mean 6.0 s, median not stored',
    'median 5.0 s, 95th percentile 9.0 s',
  ]);
  expect(durations?.summary(data)).toBe('medians from 5.0 s to 5.0 s, means without a median from 6.0 s to 6.0 s');
  expect(durations?.legend(data, []).map(([kind]) => kind)).toEqual(['line', 'dashed', 'dotted']);
});

describe('the state of a query', () => {
  const error = new ConnectionError('503');
  const first = succeeded(initialState<string[]>(), 'page 1', ['a']);

  test('is the same object if nothing changed', () => {
    expect(succeeded(first, 'page 1', first.data ?? [])).toBe(first);
    expect(succeeded(first, 'page 2', first.data ?? [])).toMatchObject({ key: 'page 2' });
  });
  test('keeps the data when the same query fails later', () => {
    expect(failed(first, 'page 1', error)).toEqual({ key: 'page 1', data: ['a'], error });
  });
  test('drops the data when another query fails', () => {
    expect(failed(first, 'page 2', error)).toEqual({ key: 'page 2', data: null, error });
  });
  test('clears the error after a success', () => {
    expect(succeeded(failed(first, 'page 2', error), 'page 2', ['b'])).toEqual({
      key: 'page 2',
      data: ['b'],
      error: null,
    });
  });
});

describe('a stored text', () => {
  test('is read from the storage and written to it', () => {
    const stored = new Map([['key', 'before']]);
    const storage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, text: string) => stored.set(key, text),
      removeItem: (key: string) => stored.delete(key),
    } as unknown as Storage;
    const text = storedText('key', () => storage);
    expect(text.get()).toBe('before');
    text.set('after');
    expect([text.get(), stored.get('key')]).toEqual(['after', 'after']);
    text.set(undefined);
    expect([text.get(), stored.has('key')]).toEqual([undefined, false]);
  });
  test('lasts as long as the page where storage is blocked', () => {
    const text = storedText('key', () => {
      throw new Error('denied');
    });
    expect(text.get()).toBeUndefined();
    text.set('kept');
    expect(text.get()).toBe('kept');
  });
});

describe('the server clock', () => {
  // Each step: milliseconds that pass, what arrives then with which time, and the time that the clock shows.
  test.each<[string, [number, 'set' | 'observe', number, number][]]>([
    [
      'follows reported times, and ignores jitter below its resolution',
      [
        [0, 'set', 2_000_000, 2_000_000],
        [1000, 'set', 2_001_900, 2_001_000],
        [0, 'set', 2_500_000, 2_500_000],
      ],
    ],
    [
      'treats updates as a lower bound, so that data without updates ages',
      [
        [0, 'observe', 900_000, 900_000],
        [60_000, 'observe', 900_000, 960_000],
        [0, 'observe', 990_000, 990_000],
      ],
    ],
  ])('%s', (_, steps) => {
    let local = 1_000_000;
    const clock = new ServerClock(() => local);
    for (const [passed, report, at, shown] of steps) {
      local += passed;
      clock[report](at);
      expect(clock.now()).toBe(shown);
    }
  });
});

test('a range is aligned to steps, has at most 300, and stays the same within a step', () => {
  for (const range of RANGES) {
    const now = Date.UTC(2026, 1, 10, 12, 34, 56);
    const { from, to } = bounds(range, now);
    expect(range.length / range.step).toBeLessThanOrEqual(300);
    expect(to.getTime() % (range.step * 1000)).toBe(0);
    expect(to.getTime()).toBeGreaterThan(now);
    expect(to.getTime() - from.getTime()).toBe(range.length * 1000);
    expect(bounds(range, now + 1000)).toEqual({ from, to });
  }
});
