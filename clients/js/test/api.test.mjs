// The HTTP client, against the real server and against a fake `fetch` with responses that the server does not send on demand.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import {
  ApiError,
  ConnectionError,
  SessionBuddyApi,
  TimeoutError,
  UnauthorizedError,
  UnexpectedAnswerError,
} from '../dist/index.js';

import { Server, until } from './server.mjs';

const NO_SKILLS = '{"at":null,"total":0,"limit":50,"offset":0,"skills":[]}';
const TOKEN = '5f0c8b1f7e9d4a26b3c8d7e6f5a49382';

/** Waits until the server has processed the submitted invocations. */
async function counted(api, invocations) {
  await until(async () => {
    const { skills } = await api.skills();
    return skills.reduce((sum, skill) => sum + skill.window.invocation_count, 0) === invocations;
  }, `${invocations} invocations`);
}

async function served(context) {
  const server = await Server.start(context);
  for (const completed of [true, true, false]) await server.record('a/b & c', completed);
  await server.record('mypy');
  const api = new SessionBuddyApi(server.url);
  await counted(api, 4);
  return { server, api };
}

test('each request gets its response', async (context) => {
  const { api } = await served(context);
  assert.equal((await api.server()).skills, 2);
  const list = await api.skills({ search: 'A/B', sparkline: true, sort: 'skill_name', limit: 5 });
  assert.deepEqual(
    list.skills.map((skill) => [
      skill.skill_name,
      skill.window.completed_count,
      skill.sparkline.invocation_count.length,
    ]),
    [['a/b & c', 2, 24]],
  );
  assert.equal((await api.skill('a/b & c')).lifetime.total_invocations, 3);
  const series = await api.series({ skill_name: 'a/b & c', from: new Date(Date.now() - 3_600_000), step: '1h' });
  assert.equal(
    series.points.reduce((sum, point) => sum + point.invocation_count, 0),
    3,
  );
  assert.deepEqual((await api.anomalies({ state: 'open' })).anomalies, []);
  assert.equal((await api.sessions({ limit: 1 })).sessions[0].session_id, 'test');
});

test('alerts are listed, and a skill is muted and unmuted', async (context) => {
  const { api } = await served(context);
  const { alerts, mutes, budget } = await api.alerts({ state: 'open', from: new Date(Date.now() - 3_600_000) });
  assert.deepEqual([alerts, mutes, budget], [[], [], '1/week']);
  const mute = await api.mute('a/b & c', { seconds: 60, reason: 'é' });
  assert.deepEqual([mute.skill_name, mute.reason], ['a/b & c', 'é']);
  assert.deepEqual((await api.alerts()).mutes, [mute]);
  assert.equal((await api.mute('mypy')).until, null);
  await api.unmute('mypy');
  await api.unmute('a/b & c');
  assert.deepEqual((await api.alerts()).mutes, []);
  await assert.rejects(api.unmute('mypy'), { name: 'ApiError', status: 404, code: 'not_muted' });
  await assert.rejects(api.acknowledgeAlert(1, 'known'), { name: 'ApiError', status: 404, code: 'unknown_alert' });
  await assert.rejects(api.mute('mypy', { seconds: 0 }), { name: 'ApiError', status: 400, code: 'bad_request' });
});

test('a command is sent once, as JSON and with the token', async () => {
  const asked = [];
  const answers = ['{"skill_name":"a","kind":"silence","detected_at":""}', '{"removed":true}', '{}'];
  const fake = async (url, { method, body, headers }) => {
    asked.push([method, url.href, body, headers['Content-Type'], headers.Authorization]);
    return new Response(answers.shift());
  };
  const api = new SessionBuddyApi('https://example.org/buddy', { fetch: fake, token: TOKEN });
  await api.acknowledgeAlert(7);
  await api.unmute('é&x');
  await assert.rejects(api.mute('x', { reason: 'y' }), UnexpectedAnswerError);
  assert.deepEqual(asked, [
    [
      'POST',
      'https://example.org/buddy/api/v1/alerts/acknowledge',
      '{"id":7,"note":""}',
      'application/json',
      `Bearer ${TOKEN}`,
    ],
    ['DELETE', 'https://example.org/buddy/api/v1/mutes?skill_name=%C3%A9%26x', undefined, undefined, `Bearer ${TOKEN}`],
    [
      'POST',
      'https://example.org/buddy/api/v1/mutes',
      '{"skill_name":"x","reason":"y"}',
      'application/json',
      `Bearer ${TOKEN}`,
    ],
  ]);
});

test('rates leave unknown outcomes out, and durations have quantiles', async (context) => {
  const server = await Server.start(context);
  for (const completed of [true, false]) await server.record('pytest-run', completed);
  await server.recordMasked('masked');
  const api = new SessionBuddyApi(server.url);
  await counted(api, 3);
  const { window, lifetime } = await api.skill('pytest-run');
  assert.deepEqual(
    [window.invocation_count, window.completed_count, window.unknown_count, window.completion_rate],
    [3, 2, 1, 0.5],
  );
  assert.deepEqual([lifetime.unknown_invocations, lifetime.completion_rate], [1, 0.5]);
  assert.ok(window.measured_count > 0);
  for (const quantile of [window.p50_duration, window.p95_duration])
    assert.ok(Math.abs(quantile - 0.5) < 0.03, quantile);
  const { points } = await api.series({ skill_name: 'pytest-run', step: '1h' });
  assert.equal(
    points.reduce((sum, point) => sum + point.unknown_count, 0),
    1,
  );
  assert.equal((await api.sessions()).sessions[0].unknown, 1);
  assert.equal((await api.server()).unknown_count, 1);
});

test('the tools of an MCP server are summed', async (context) => {
  const server = await Server.start(context);
  await server.record('mcp__github__search');
  await server.record('mcp__github__merge', false);
  await server.record('mypy');
  const api = new SessionBuddyApi(server.url);
  await counted(api, 3);
  const { total, groups } = await api.groups({ active: true, limit: 5 });
  assert.equal(total, 1);
  assert.deepEqual(
    groups.map(({ group, skill_count, window }) => [
      group,
      skill_count,
      window.invocation_count,
      window.completion_rate,
    ]),
    [['mcp:github', 2, 2, 0.5]],
  );
});

test('an unchanged response is the same object, a changed one is a new object', async (context) => {
  const { server, api } = await served(context);
  const first = await api.skills();
  assert.equal(await api.skills(), first);
  await server.record('mypy');
  await counted(api, 5);
  assert.notEqual(await api.skills(), first);
});

test('an unknown skill and an invalid parameter are errors with the code and message of the server', async (context) => {
  const { api } = await served(context);
  await assert.rejects(api.skill('unknown'), { name: 'ApiError', status: 404, code: 'unknown_skill' });
  await assert.rejects(api.skills({ limit: 0 }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 400);
    assert.match(error.message, /limit/);
    return true;
  });
});

test('requests without a token or without the read scope are unauthorized', async (context) => {
  const server = await Server.start(context);
  const file = join(server.folder, 'tokens');
  await writeFile(file, `${TOKEN} read\n${TOKEN.toUpperCase()} write\n`, { mode: 0o600 });
  await server.stop('SIGTERM');
  server.options = ['--auth-token-file', file];
  await server.start();
  await assert.rejects(new SessionBuddyApi(server.url).skills(), UnauthorizedError);
  await assert.rejects(new SessionBuddyApi(server.url, { token: TOKEN.toUpperCase() }).skills(), UnauthorizedError);
  assert.equal((await new SessionBuddyApi(server.url, { token: async () => TOKEN }).skills()).total, 0);
});

test('the path prefix of a reverse proxy is kept', async () => {
  const asked = [];
  const fake = async (url) => {
    asked.push(url.href);
    return new Response(NO_SKILLS);
  };
  for (const base of ['wss://example.org/buddy/', 'wss://example.org/buddy', new URL('https://example.org/buddy')]) {
    await new SessionBuddyApi(base, { fetch: fake }).skills({ search: 'é&x', active: true });
  }
  assert.deepEqual(asked, Array(3).fill('https://example.org/buddy/api/v1/skills?search=%C3%A9%26x&active=true'));
});

/** A fetch without a response; like a real one it keeps the process alive. */
function never(_url, { signal }) {
  return new Promise((_resolve, reject) => {
    const alive = setInterval(() => {}, 1000);
    signal.addEventListener('abort', () => {
      clearInterval(alive);
      reject(signal.reason);
    });
  });
}

test('errors: timeout, truncated response, response of a proxy, Retry-After', async () => {
  const api = (answer, options = {}) => new SessionBuddyApi('http://localhost/', { fetch: answer, ...options });
  await assert.rejects(api(never, { timeout: 10 }).server(), TimeoutError);
  await assert.rejects(
    api(async () => {
      throw new TypeError('fetch failed');
    }).server(),
    ConnectionError,
  );
  await assert.rejects(api(async () => new Response('{"version":')).server(), ConnectionError);
  await assert.rejects(api(async () => new Response('<html>', { status: 502, statusText: 'Bad Gateway' })).server(), {
    name: 'ApiError',
    status: 502,
    code: '',
    message: 'HTTP 502 Bad Gateway',
  });
  const busy = new Response('{"detail":"Too many queries wait","error":"too_many_queries"}', {
    status: 503,
    headers: { 'Retry-After': '2' },
  });
  await assert.rejects(api(async () => busy).server(), { message: 'Too many queries wait', retryAfter: 2 });
});

test('a response larger than maxBytes is an error, and the rest is not read', async () => {
  for (const [status, error] of [
    [200, UnexpectedAnswerError],
    [500, ApiError],
  ]) {
    let pieces = 0;
    let cancelled = false;
    const endless = new ReadableStream({
      pull(controller) {
        pieces += 1;
        controller.enqueue(new Uint8Array(1000).fill(0x20));
      },
      cancel() {
        cancelled = true;
      },
    });
    const fetch = async () => new Response(endless, { status });
    await assert.rejects(new SessionBuddyApi('http://localhost/', { fetch, maxBytes: 9999 }).skills(), error);
    assert.ok(cancelled);
    assert.ok(pieces <= 13, `${pieces} pieces`);
  }
  const fetch = async () => new Response(NO_SKILLS);
  assert.equal((await new SessionBuddyApi('http://x/', { fetch, maxBytes: NO_SKILLS.length }).skills()).total, 0);
});

test('a response of another program is an error that names the mismatch, and is not cached', async () => {
  const answers = ['{}', 'null', '[]', NO_SKILLS.replace('[]', '[null]'), NO_SKILLS.replace('[]', '{}'), NO_SKILLS];
  const conditions = [];
  const fake = async (_url, { headers }) => {
    conditions.push(headers['If-None-Match']);
    return new Response(answers.shift(), { headers: { ETag: '"1"' } });
  };
  const api = new SessionBuddyApi('http://localhost/', { fetch: fake });
  for (const where of ['total', 'the body', 'total', 'skills[0]', 'skills']) {
    await assert.rejects(api.skills(), (error) => {
      assert.ok(error instanceof UnexpectedAnswerError);
      assert.ok(error.message.includes(`: ${where} is missing`), error.message);
      return true;
    });
  }
  assert.equal((await api.skills()).total, 0);
  assert.deepEqual(conditions, Array(6).fill(undefined));
  for (const method of ['server', 'groups', 'skill', 'series', 'anomalies', 'alerts', 'sessions']) {
    await assert.rejects(
      new SessionBuddyApi('http://localhost/', { fetch: async () => new Response('{}') })[method](),
      UnexpectedAnswerError,
    );
  }
});

test('unchanged responses to concurrent requests are the same object', async () => {
  const api = new SessionBuddyApi('http://localhost/', {
    fetch: async () => new Response(NO_SKILLS, { headers: { ETag: 'W/"1"' } }),
  });
  const [first, second] = await Promise.all([api.skills(), api.skills()]);
  assert.equal(second, first);
});

test('an aborted request rejects with the reason of the abort', async () => {
  const abort = new AbortController();
  const asked = new SessionBuddyApi('http://localhost/', { fetch: never }).server({ signal: abort.signal });
  abort.abort(new Error('another view'));
  await assert.rejects(asked, { message: 'another view' });
});

test('the number of responses cached by ETag is bounded', async () => {
  const conditions = [];
  const fake = async (url, { headers }) => {
    conditions.push(headers['If-None-Match']);
    return new Response(NO_SKILLS, { headers: { ETag: `W/"${url.search}"` } });
  };
  const api = new SessionBuddyApi('http://localhost/', { fetch: fake });
  for (let offset = 0; offset <= 64; offset += 1) await api.skills({ offset });
  conditions.length = 0;
  await api.skills({ offset: 64 });
  await api.skills({ offset: 0 });
  assert.deepEqual(conditions, ['W/"?offset=64"', undefined]);
});
