// The client against the real server: requests and responses, tokens, errors.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { ConnectionError, RequestError, SessionBuddyClient, UnauthorizedError } from '../dist/index.js';

import { connected, Server, until } from './server.mjs';

const OPTIONS = { webSocket: WebSocket, reconnectDelay: 20 };
const TOKEN = '5f0c8b1f7e9d4a26b3c8d7e6f5a49382';

/** The first update with this many invocations: submitted ones are counted a moment later. */
async function counted(client, invocations) {
  for await (const update of client.updates()) {
    const { top_skills: skills } = update.data;
    if (skills.reduce((sum, skill) => sum + skill.invocation_count, 0) === invocations) return update;
  }
  throw new Error('the client was closed');
}

/** A server with authentication. */
async function authenticated(context) {
  const file = join(tmpdir(), `session-buddy-tokens-${process.pid}`);
  await writeFile(file, `${TOKEN} read\n`, { mode: 0o600 });
  return Server.start(context, ['--auth-token-file', file]);
}

test('updates come without a subscription', async (context) => {
  const server = await Server.start(context);
  await server.record('pytest-run');
  const client = await connected(context, server);
  const update = await counted(client, 1);
  assert.deepEqual(
    update.data.top_skills.map((skill) => skill.skill_name),
    ['pytest-run'],
  );
});

test('details add unknown outcomes and quantiles of each skill', async (context) => {
  const server = await Server.start(context);
  await server.record('pytest-run');
  await server.recordMasked('masked');
  const client = await connected(context, server);
  const [plain] = (await counted(client, 2)).data.top_skills;
  assert.deepEqual([plain.completed_count, 'unknown_count' in plain, 'p50_duration' in plain], [2, false, false]);
  await client.subscribe(null, { details: true });
  const [detailed] = (await counted(client, 2)).data.top_skills;
  assert.deepEqual([detailed.completed_count, detailed.unknown_count], [2, 1]);
  assert.ok(Math.abs(detailed.p50_duration - 0.5) < 0.03 && Math.abs(detailed.p95_duration - 0.5) < 0.03);
  assert.ok(detailed.measured_count > 0);
});

test('concurrent requests get their own responses', async (context) => {
  const server = await Server.start(context);
  await server.record('mypy');
  await server.record('pytest-run');
  await server.record('pytest-run', false);
  const client = await connected(context, server);
  await counted(client, 3);
  const [mypy, unknown, pytest, ping] = await Promise.allSettled([
    client.getMetrics('mypy'),
    client.getMetrics('unknown'),
    client.getMetrics('pytest-run'),
    client.ping(),
  ]);
  assert.equal(mypy.value.total_invocations, 1);
  assert.equal(pytest.value.completion_rate, 0.5);
  assert.ok(unknown.reason instanceof RequestError);
  assert.equal(unknown.reason.code, 'invalid_skill_name');
  assert.ok(ping.value >= 0);
});

test('a rejected subscription keeps the previous one', async (context) => {
  const server = await Server.start(context);
  await server.record('mypy');
  await server.record('pytest-run');
  const client = await connected(context, server, { maxAttempts: 1000 });
  await client.subscribe('mypy');
  await assert.rejects(client.subscribe('a\u0007b'), { name: 'RequestError', code: 'invalid_skill_name' });
  await server.stop('SIGKILL');
  const names = [];
  client.on('metrics', (update) => names.push(update.data.top_skills.map((skill) => skill.skill_name)));
  await server.start();
  await until(() => names.length > 0, 'an update after the restart');
  assert.deepEqual(names[0], ['mypy']);
});

test('requests beyond maxPending fail immediately', async (context) => {
  const server = await Server.start(context);
  const client = await connected(context, server, { maxPending: 2 });
  const results = await Promise.allSettled([client.ping(), client.ping(), client.ping()]);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'fulfilled', 'rejected'],
  );
});

test('a graceful shutdown of the server is reported', async (context) => {
  const server = await Server.start(context);
  const client = await connected(context, server);
  const lost = new Promise((resolve) =>
    client.on('state', (state) => state.status === 'waiting' && resolve(state.error)),
  );
  await server.stop('SIGTERM');
  const error = await lost;
  assert.equal(error.closeCode, 1001);
  assert.match(error.message, /shutting down/);
  await assert.rejects(client.ping(), ConnectionError);
});

test('an unauthorized client does not retry', async (context) => {
  const server = await authenticated(context);
  const client = new SessionBuddyClient(server.url, OPTIONS);
  context.after(() => client.close());
  await client.subscribe(null);
  const states = [];
  client.on('state', (state) => states.push(state.status));
  await assert.rejects(client.connect(), UnauthorizedError);
  assert.deepEqual(states, ['connecting', 'closed']);
});

test('a wrong token is rejected with the reason of the server', async (context) => {
  const server = await authenticated(context);
  await assert.rejects(SessionBuddyClient.connect(server.url, { ...OPTIONS, token: 'wrong' }), {
    name: 'UnauthorizedError',
    message: 'The token is not valid',
  });
});

test('the token is sent in the first message of every connection', async (context) => {
  const server = await authenticated(context);
  let asked = 0;
  const token = async () => {
    asked += 1;
    return TOKEN;
  };
  const client = await connected(context, server, { token, maxAttempts: 1000 });
  await client.subscribe(null, { details: true });
  assert.equal((await client.updates().next()).value.type, 'metrics_update');
  assert.ok(!client.url.includes(TOKEN));
  await server.stop('SIGKILL');
  await server.start();
  await until(() => client.state.status === 'open', 'the connection');
  assert.ok(asked >= 2);
});
