// A server with generated data for screenshots and tests of the page: the built files with the policy of the real server,
// the HTTP API and the WebSocket. Run it with `node test/fake-server.mjs [scenario] [port]`.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { WebSocketServer } from 'ws';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const TOKEN = 'let-me-in';

const iso = (milliseconds) => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

/** A deterministic random generator. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const NAMES = [
  'pytest-run',
  'Bash',
  'Edit',
  'Read',
  'ruff-check',
  'mypy',
  'Grep',
  'git-commit',
  'WebFetch',
  'crackerjack:tests',
  'docs/build',
  'npm test -- --run',
  'mcp__session-buddy__search_conversations_and_reflections_by_concept',
  'mcp__session-buddy__reflect',
  'mcp__github__create_pull_request',
  'docker compose up',
  'تحليل السجلات',
  '日本語の要約',
  'zero\u200bwidth',
  '\u202egnirts-desrever',
  '   ',
  'deploy 🚀',
  'cargo-clippy',
  'terraform plan',
  'sql-migrate',
  'lint-fix',
  'summarize',
];

function skillsAt(now) {
  return NAMES.map((name, index) => {
    const roll = random(index + 7);
    const perHour = Math.max(0.2, 38 * 0.78 ** index);
    const rate = name === 'mypy' ? 0.74 : 0.99 - 0.25 * roll() * roll();
    const counts = Array.from({ length: 24 }, (_, hour) =>
      Math.round(perHour * (0.25 + Math.abs(Math.sin((hour + index) / 4)) + 0.5 * roll())),
    );
    const completed = counts.map((count) => Math.round(count * Math.min(1, rate + 0.06 * (roll() - 0.5))));
    const n = index === NAMES.length - 1 ? 0 : counts.reduce((a, b) => a + b, 0);
    const good = index === NAMES.length - 1 ? 0 : completed.reduce((a, b) => a + b, 0);
    // Shares with an unknown outcome: none, a few, or all.
    const hidden = { 'pytest-run': 0.3, 'ruff-check': 0.5, 'npm test -- --run': 1 }[name] ?? 0;
    const unknown = completed.map((count, hour) =>
      hidden === 1 ? counts[hour] : Math.floor(Math.min(count, counts[hour]) * hidden),
    );
    const last = n === 0 ? now - 9 * 86_400_000 : now - Math.round(roll() * 1000 * 3 ** Math.min(9, index / 1.6));
    return {
      name,
      counts: n ? counts : counts.map(() => 0),
      completed: n ? (hidden === 1 ? counts : completed) : counts.map(() => 0),
      unknown: n ? unknown : counts.map(() => 0),
      n,
      good: hidden === 1 ? n : good,
      hidden: n ? unknown.reduce((a, b) => a + b, 0) : 0,
      measured: name === 'Edit' || name === 'Read' ? 0 : n,
      avg: n ? 0.03 * 3 ** (roll() * 6) : null,
      last,
    };
  });
}

const wilson = (good, n) => {
  if (n === 0) return [null, null];
  const z = 1.96;
  const p = good / n;
  const middle = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
};

const details = (now, minutes, z, errors, baseline = 180, observed = 26) => ({
  baseline_samples: baseline,
  observed_samples: observed,
  z_score: z,
  tail_probability: 0.002,
  since: iso(now - minutes * 60_000),
  common_errors: errors.map(([error_type, count]) => ({ error_type, count })),
});

function anomaliesAt(now) {
  return [
    {
      skill_name: 'mypy',
      anomaly_type: 'performance_drop',
      baseline_value: 0.912,
      observed_value: 0.423,
      deviation_score: 5.84,
      details: details(now, 18, -5.84, [
        ['exit_code', 11],
        ['timeout', 3],
      ]),
    },
    {
      skill_name: 'pytest-run',
      anomaly_type: 'pattern_shift',
      baseline_value: 5.12,
      observed_value: 15.4,
      deviation_score: 3.31,
      details: details(now, 6, 3.31, []),
    },
    {
      skill_name: 'mcp__session-buddy__search_conversations_and_reflections_by_concept',
      anomaly_type: 'performance_drop',
      baseline_value: 0.99,
      observed_value: 0.81,
      deviation_score: 2.6,
      details: details(now, 44, -2.6, [
        ['ConnectionResetError', 4],
        ['rate_limited', 2],
        ['validation', 1],
      ]),
    },
    {
      skill_name: 'Grep',
      anomaly_type: 'performance_spike',
      baseline_value: 0.802,
      observed_value: 0.978,
      deviation_score: 2.12,
      details: details(now, 1.2, 2.12, []),
    },
  ];
}

const level = (value, low, high, samples) => ({ value, low, high, samples });

/** Open, acknowledged and muted alerts, improvements, and ended ones. */
function alertsAt(now, scenario) {
  const ago = (minutes) => iso(now - minutes * 60_000);
  const alert = (id, skill_name, kind, minutes, before, after, rest) => ({
    id,
    skill_name,
    kind,
    detected_at: ago(minutes - 3),
    since: ago(minutes),
    since_low: ago(minutes + 9),
    since_high: ago(minutes - 2),
    before,
    after,
    once_in_seconds: 24_192_000,
    failures_in_a_row: 0,
    errors: [],
    session_id: null,
    session_share: 0.2,
    sessions: 4,
    ended_at: null,
    end: null,
    acknowledged_at: null,
    note: '',
    muted: false,
    ...rest,
  });
  const rates = [level(0.912, 0.894, 0.928, 1180), level(0.423, 0.255, 0.608, 26)];
  const many = NAMES.slice(5).map((name, index) => alert(100 + index, name, 'completion_rate_fell', 5, ...rates, {}));
  return [
    ...(scenario === 'many' ? many : []),
    alert(41, 'mypy', 'completion_rate_fell', 18, ...rates, {
      once_in_seconds: 9e9,
      failures_in_a_row: 7,
      errors: [
        { error_type: 'exit_code', before: 0.06, after: 0.42, count: 11 },
        { error_type: 'timeout', before: 0, after: 0.12, count: 3 },
      ],
      session_id: '0198c4a2-5f1e-7cc0-9a41-2f6f0e5c8b11',
      session_share: 0.73,
      sessions: 3,
    }),
    alert(40, 'pytest-run', 'duration_rose', 55, level(5.12, 4.9, 5.4, 812), level(15.4, 11.2, 19.8, 31), {}),
    alert(
      39,
      'terraform plan',
      'silence',
      2900,
      level(21_600, 21_600, 21_600, 0),
      level(172_800, 172_800, 172_800, 0),
      {
        once_in_seconds: 0,
        sessions: 0,
      },
    ),
    alert(38, 'WebFetch', 'completion_rate_fell', 400, ...rates, {
      acknowledged_at: ago(200),
      note: 'the proxy is down, ticket open',
      sessions: 9,
    }),
    alert(37, 'docker compose up', 'duration_rose', 700, level(42, 40, 44, 90), level(95, 70, 120, 14), {
      muted: true,
    }),
    alert(36, 'Grep', 'duration_fell', 90, level(0.8, 0.7, 0.9, 400), level(0.2, 0.15, 0.25, 60), {
      ended_at: ago(87),
      end: 'accepted',
    }),
    alert(35, 'mypy', 'completion_rate_fell', 900, ...rates, { ended_at: ago(825), end: 'recovered' }),
    alert(34, 'Bash', 'duration_rose', 14_000, level(2.4, 2.3, 2.5, 900), level(3.8, 3.6, 4, 700), {
      ended_at: ago(3920),
      end: 'accepted',
    }),
  ];
}

function sessionsAt(now) {
  return ['0198c4a2-5f1e-7cc0-9a41-2f6f0e5c8b11', 'nightly', 'morning', 'f3b1'].map((session_id, index) => ({
    session_id,
    first_activity_at: iso(now - (index + 1) * 1_700_000),
    last_activity_at: iso(now - index * index * 97_000 - 3000),
    invocations: 214 - 48 * index,
    completed: 203 - 47 * index,
    distinct_skills: 14 - 3 * index,
    unknown: 9 * index,
  }));
}

const rateOf = (good, n, unknown) => (n > unknown ? (good - unknown) / (n - unknown) : null);

/** The durations of a window: quantiles of a skewed distribution. */
const durations = ({ avg, measured }) => ({
  avg_duration: avg,
  p50_duration: avg && avg * 0.6,
  p95_duration: avg && avg * 3.1,
  measured_count: measured,
});

function summary(skill, anomalies, sparkline, now) {
  const [low, high] = wilson(skill.good - skill.hidden, skill.n - skill.hidden);
  const total = (skill.total ?? skill.n) * 31 + 12;
  const completed = (skill.totalGood ?? skill.good) * 31 + 12;
  const unknown = (skill.totalHidden ?? skill.hidden) * 31;
  return {
    skill_name: skill.name,
    window: {
      invocation_count: skill.n,
      completed_count: skill.good,
      unknown_count: skill.hidden,
      completion_rate: rateOf(skill.good, skill.n, skill.hidden),
      completion_rate_low: low,
      completion_rate_high: high,
      ...durations(skill),
      last_invocation_at: skill.n ? iso(skill.last) : null,
    },
    lifetime: {
      total_invocations: total,
      completed_invocations: completed,
      unknown_invocations: unknown,
      completion_rate: rateOf(completed, total, unknown),
      avg_duration_seconds: skill.avg ?? 1.2,
      last_invocation_at: iso(skill.last),
    },
    anomalies: anomalies
      .filter((each) => each.skill_name === skill.name)
      .map(({ skill_name, details, ...rest }) => rest),
    ...(sparkline
      ? {
          sparkline: {
            from: iso(Math.floor(now / 3_600_000) * 3_600_000 - 23 * 3_600_000),
            step_seconds: 3600,
            invocation_count: skill.counts,
            completed_count: skill.completed,
            unknown_count: skill.unknown,
          },
        }
      : {}),
  };
}

function series(query, now) {
  const to = Date.parse(query.get('to') ?? iso(now));
  const from = Date.parse(query.get('from') ?? iso(to - 86_400_000));
  const step = Number(query.get('step') ?? 300);
  const scale = (query.has('skill_name') ? 9 : 60) * (step / 900);
  const points = [];
  for (let at = from; at < to; at += step * 1000) {
    const roll = random(Math.floor(at / 1000));
    roll();
    const hour = (at / 3_600_000) % 24;
    const count =
      at > now
        ? 0
        : Math.round(scale * Math.max(0, Math.sin(((hour - 6) / 24) * 2 * Math.PI) + 0.35 + 0.5 * (roll() - 0.5)));
    const bad = at > now - 18 * 60_000;
    const good = Math.round(count * (bad ? 0.45 : 0.86 + 0.12 * roll()));
    const mean = count ? 4.5 + 1.5 * roll() + (bad ? 6 : 0) : null;
    // For older invocations only hourly rollups exist.
    const pruned = at < now - 14 * 86_400_000;
    points.push({
      at: iso(at),
      invocation_count: count,
      completed_count: good,
      unknown_count: pruned ? 0 : Math.floor(good * 0.15),
      avg_duration: mean,
      p50_duration: pruned ? null : mean && mean * 0.9,
      p95_duration: pruned ? null : mean && mean * (1.6 + roll()),
    });
  }
  return { skill_name: query.get('skill_name'), from: iso(from), to: iso(to), step_seconds: step, points };
}

function episodes(query, now) {
  const skill = query.get('skill_name');
  const open = anomaliesAt(now).map((each, index) => ({
    id: 40 - index,
    ...each,
    detected_at: each.details.since,
    resolved_at: null,
  }));
  const past = [
    ['pytest-run', 'performance_drop', 0.93, 0.7, 3.9, 320, 41],
    ['Bash', 'pattern_shift', 2.4, 0.8, 2.4, 700, 12],
    ['mypy', 'performance_drop', 0.91, 0.6, 3.2, 900, 75],
    ['ruff-check', 'performance_spike', 0.7, 0.93, 2.2, 4100, 22],
  ].map(([skill_name, anomaly_type, baseline_value, observed_value, deviation_score, minutes, length], index) => ({
    id: 30 - index,
    skill_name,
    anomaly_type,
    baseline_value,
    observed_value,
    deviation_score,
    detected_at: iso(now - minutes * 60_000),
    resolved_at: iso(now - (minutes - length) * 60_000),
    details: null,
  }));
  const all = [...open, ...past]
    .filter((each) => !skill || each.skill_name === skill)
    .sort((a, b) => (a.detected_at < b.detected_at ? 1 : -1));
  const limit = Number(query.get('limit') ?? 100);
  return { at: iso(now), total: all.length, limit, offset: 0, anomalies: all.slice(0, limit) };
}

function mutesAt(now) {
  return [
    { skill_name: 'docker compose up', muted_at: iso(now - 9e6), until: iso(now + 8e7), reason: 'images are rebuilt' },
  ];
}

/**
 * `busy`, `empty`, `old` (an empty window), `unreadable` (the database), `token`, `no-api` (the WebSocket only),
 * `off` (the budget), `no-alerts` (an older server), `calm` (no alert), `many` (alerts).
 */
export async function serve({ scenario = 'busy', port = 0, interval = 1000 } = {}) {
  const startedAt = Date.now();
  const state = { alerts: alertsAt, changes: new Map(), mutes: mutesAt(startedAt), empty: scenario === 'empty' };
  // An unreadable database: the last data stays and becomes stale.
  const now = () => (scenario === 'unreadable' ? startedAt - 95_000 : Date.now());
  const old = scenario === 'old';
  const AGE = 12 * 86_400_000;
  const skills = () =>
    state.empty
      ? []
      : old
        ? skillsAt(now() - AGE).map((skill) => ({
            ...skill,
            n: 0,
            good: 0,
            avg: null,
            total: skill.n,
            totalGood: skill.good,
            totalHidden: skill.hidden,
            hidden: 0,
            measured: 0,
            counts: skill.counts.map(() => 0),
            completed: skill.counts.map(() => 0),
            unknown: skill.counts.map(() => 0),
          }))
        : skillsAt(now());
  const anomalies = () => (state.empty || old ? [] : anomaliesAt(now()));
  const quiet = ['off', 'no-alerts', 'calm'].includes(scenario);
  const alerts = () =>
    state.empty || old || quiet
      ? []
      : state.alerts(startedAt, scenario).map((alert) => ({
          ...alert,
          ...state.changes.get(alert.id),
          muted: state.mutes.some((each) => each.skill_name === alert.skill_name),
        }));
  const sessions = () => (state.empty || old ? [] : sessionsAt(now()));
  const lifetimes = () => skills().map((skill) => summary(skill, [], false, now()).lifetime);

  const answers = {
    server: () => ({
      version: '0.1.0',
      api_version: '1.0',
      started_at: iso(startedAt - 8_000_000),
      at: iso(now()),
      age_seconds: (Date.now() - now()) / 1000,
      update_interval_seconds: interval / 1000,
      window_seconds: 86_400,
      anomaly_threshold: 2,
      push: false,
      database:
        scenario === 'unreadable'
          ? { readable: false, reason: 'database disk image is malformed' }
          : { readable: true, reason: null, path: '/home/user/.local/share/session-buddy/skills.db' },
      clients: sockets.clients.size,
      skills: skills().length,
      invocation_count: skills().reduce((sum, skill) => sum + skill.n, 0),
      completed_count: skills().reduce((sum, skill) => sum + skill.good, 0),
      unknown_count: skills().reduce((sum, skill) => sum + skill.hidden, 0),
      lifetime: {
        total_invocations: lifetimes().reduce((sum, each) => sum + each.total_invocations, 0),
        completed_invocations: lifetimes().reduce((sum, each) => sum + each.completed_invocations, 0),
        unknown_invocations: lifetimes().reduce((sum, each) => sum + each.unknown_invocations, 0),
        last_invocation_at: lifetimes().reduce((last, each) => {
          return last === null || each.last_invocation_at > last ? each.last_invocation_at : last;
        }, null),
      },
      active_sessions: sessions().length,
      anomalies: anomalies().length,
      limits_reached: [],
    }),
    skills: (query) => {
      const search = (query.get('search') ?? '').toLowerCase();
      const found = skills().filter(
        (skill) => skill.name.toLowerCase().includes(search) && (query.get('active') !== 'true' || skill.n > 0),
      );
      const list = found.map((skill) => summary(skill, anomalies(), query.get('sparkline') === 'true', now()));
      const value =
        {
          skill_name: (s) => s.skill_name,
          completion_rate: (s) => s.window.completion_rate ?? -1,
          avg_duration: (s) => s.window.avg_duration ?? -1,
          p50_duration: (s) => s.window.p50_duration ?? -1,
          p95_duration: (s) => s.window.p95_duration ?? -1,
          total_invocations: (s) => s.lifetime.total_invocations,
          last_invocation_at: (s) => s.lifetime.last_invocation_at,
          deviation_score: (s) => s.anomalies[0]?.deviation_score ?? -1,
        }[query.get('sort')] ?? ((s) => s.window.invocation_count);
      list.sort(
        (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (query.get('order') === 'asc' ? 1 : -1),
      );
      const limit = Number(query.get('limit') ?? 50);
      const offset = Number(query.get('offset') ?? 0);
      return { at: iso(now()), total: list.length, limit, offset, skills: list.slice(offset, offset + limit) };
    },
    groups: () => {
      const serverOf = (skill) => skill.name.split('__')[1];
      const tools = skills().filter((skill) => skill.name.startsWith('mcp__'));
      const servers = new Map(
        tools.map((tool) => [serverOf(tool), tools.filter((each) => serverOf(each) === serverOf(tool))]),
      );
      const groups = [...servers].map(([server, tools]) => {
        const sum = (key) => tools.reduce((total, tool) => total + (tool[key] ?? 0), 0);
        const one = {
          name: server,
          ...Object.fromEntries(['n', 'good', 'hidden', 'measured'].map((key) => [key, sum(key)])),
          avg: tools[0].avg,
          last: Math.max(...tools.map((tool) => tool.last)),
          ...(old ? { total: sum('total'), totalGood: sum('totalGood'), totalHidden: sum('totalHidden') } : {}),
        };
        const { window, lifetime } = summary(one, [], false, now());
        const { avg_duration_seconds: _, ...sums } = lifetime;
        return { group: `mcp:${server}`, skill_count: tools.length, window, lifetime: sums };
      });
      return { at: iso(now()), total: groups.length, limit: 500, offset: 0, groups };
    },
    skill: (query) => {
      const skill = skills().find((each) => each.name === query.get('skill_name'));
      if (!skill)
        return { problem: 404, error: 'unknown_skill', detail: 'No invocations are recorded under this skill_name' };
      return {
        ...summary(skill, anomalies(), false, now()),
        at: iso(now()),
        first_invocation_at: iso(now() - 41 * 86_400_000),
        errors: [
          ['exit_code', 31],
          ['timeout', 8],
          ['ConnectionResetError', 2],
        ].map(([error_type, count]) => ({ error_type, count })),
        phases: [
          ['execution', 0.7],
          ['setup', 0.2],
          [null, 0.1],
        ].map(([workflow_phase, part]) => ({
          workflow_phase,
          invocation_count: Math.round(skill.n * part),
          completed_count: Math.round(skill.good * part),
          unknown_count: Math.round(skill.hidden * part),
          completion_rate: rateOf(skill.good, skill.n, skill.hidden),
          avg_duration: skill.avg,
        })),
      };
    },
    series: (query) => (state.empty ? { ...series(query, now()), points: [] } : series(query, now())),
    anomalies: (query) =>
      state.empty || old ? { at: iso(now()), total: 0, limit: 100, offset: 0, anomalies: [] } : episodes(query, now()),
    ...(scenario === 'no-alerts'
      ? {}
      : {
          alerts: (query) => {
            const all = alerts().filter((each) => [null, each.skill_name].includes(query.get('skill_name')));
            const limit = Number(query.get('limit') ?? 100);
            return {
              at: iso(now()),
              budget: scenario === 'off' ? 'off' : '1/week',
              total: all.length,
              limit,
              offset: 0,
              alerts: all.slice(0, limit),
              mutes: quiet ? [] : state.mutes,
            };
          },
        }),
    sessions: () => ({ at: iso(now()), total: sessions().length, window_seconds: 1800, sessions: sessions() }),
  };

  const changes = {
    'POST alerts/acknowledge': ({ id, note = '' }) => {
      const alert = alerts().find((each) => each.id === id);
      if (!alert) return { problem: 404, error: 'unknown_alert', detail: `There is no alert with the id ${id}` };
      state.changes.set(id, { acknowledged_at: iso(now()), note });
      return alerts().find((each) => each.id === id);
    },
    'POST mutes': ({ skill_name, seconds, reason = '' }) => {
      const until = seconds === undefined ? null : iso(now() + seconds * 1000);
      const mute = { skill_name, muted_at: iso(now()), until, reason };
      state.mutes = [mute, ...state.mutes.filter((each) => each.skill_name !== skill_name)];
      return mute;
    },
    'DELETE mutes': ({ skill_name }) => {
      state.mutes = state.mutes.filter((each) => each.skill_name !== skill_name);
      return { removed: true };
    },
  };

  const problem = (response, status, error, detail) => {
    response.writeHead(status, { 'Content-Type': 'application/problem+json' });
    response.end(JSON.stringify({ type: 'about:blank', title: 'Problem', status, detail, error }));
  };

  const http = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname.startsWith('/api/v1/')) {
      if (scenario === 'no-api') return problem(response, 404, 'not_found', 'No such endpoint');
      if (scenario === 'token' && request.headers.authorization !== `Bearer ${TOKEN}`)
        return problem(response, 401, 'unauthorized', 'Authentication required');
      if (request.method !== 'GET') {
        if (state.failure) return problem(response, ...state.failure);
        const pieces = [];
        for await (const piece of request) pieces.push(piece);
        const body =
          pieces.length > 0 ? JSON.parse(Buffer.concat(pieces).toString()) : Object.fromEntries(url.searchParams);
        const changed = changes[`${request.method} ${url.pathname.slice('/api/v1/'.length)}`](body);
        if (changed.problem) return problem(response, changed.problem, changed.error, changed.detail);
        response.writeHead(200, { 'Content-Type': 'application/json' });
        return response.end(JSON.stringify(changed));
      }
      const answer = answers[url.pathname.slice('/api/v1/'.length)]?.(url.searchParams);
      if (!answer) return problem(response, 404, 'not_found', 'No such endpoint');
      if (answer.problem) return problem(response, answer.problem, answer.error, answer.detail);
      response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
      return response.end(JSON.stringify(answer));
    }
    const path = normalize(url.pathname === '/' ? '/index.html' : url.pathname);
    try {
      const body = await readFile(join(DIST, path));
      response.writeHead(200, {
        'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
        'Content-Security-Policy': POLICY,
      });
      response.end(body);
    } catch {
      problem(response, 404, 'not_found', 'No such endpoint');
    }
  });

  const sockets = new WebSocketServer({ server: http, path: '/ws' });
  const update = (detailed) =>
    JSON.stringify({
      type: 'metrics_update',
      timestamp: iso(now()),
      data: {
        top_skills: skills()
          .filter((skill) => skill.n > 0)
          .slice(0, 10)
          .map((skill) => ({
            skill_name: skill.name,
            invocation_count: skill.n,
            completed_count: skill.good,
            avg_duration: skill.avg,
            last_invocation_at: iso(skill.last),
            ...(detailed ? { unknown_count: skill.hidden, ...durations(skill) } : {}),
          })),
        anomalies: anomalies().map(({ details, ...rest }) => (detailed ? { ...rest, details } : rest)),
        ...(detailed && scenario !== 'no-alerts' ? { alerts: alerts() } : {}),
      },
    });
  const sessionUpdate = () =>
    JSON.stringify({ type: 'session_update', timestamp: iso(now()), data: { active_sessions: sessions() } });
  sockets.on('connection', (socket) => {
    let allowed = scenario !== 'token';
    socket.on('message', (text) => {
      const { type, request_id, token, details: detailed = false } = JSON.parse(text);
      const send = (message) =>
        socket.send(JSON.stringify({ ...message, ...(request_id === undefined ? {} : { request_id }) }));
      if (type === 'auth') {
        allowed ||= token === TOKEN;
        if (!allowed) return socket.close(4401, 'The token is not valid');
        return send({ type: 'authenticated', message: 'Authenticated' });
      }
      if (!allowed) return socket.close(4401, 'The first message must be of type auth, with a token');
      if (type === 'ping') return send({ type: 'pong' });
      if (type === 'subscribe_sessions') {
        send({ type: 'sessions_subscribed', message: 'Subscribed to session updates' });
        return socket.send(sessionUpdate());
      }
      socket.detailed = detailed;
      socket.subscribed = true;
      send({
        type: 'subscription_confirmed',
        skill_name: null,
        details: detailed,
        message: 'Subscribed to updates for all skills',
      });
      socket.send(update(detailed));
    });
  });
  const ticking = setInterval(() => {
    for (const socket of sockets.clients) if (socket.subscribed) socket.send(update(socket.detailed));
  }, interval);

  await new Promise((resolve) => http.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    /** Sets the alerts, as a function of the time of the start. */
    setAlerts: (alertsNow) => {
      state.alerts = alertsNow;
    },
    /** Changes fail with this status, code and detail; null: they succeed. */
    setFailure: (failure) => {
      state.failure = failure;
    },
    async close() {
      clearInterval(ticking);
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({ scenario: process.argv[2] ?? 'busy', port: Number(process.argv[3] ?? 0) });
  console.log(url);
}
