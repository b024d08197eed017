// The client against the real server: requests and their answers, tokens, errors.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { ConnectionError, RequestError, SessionBuddyClient, UnauthorizedError } from '../dist/index.js';

import { Server, until } from './server.mjs';

const OPTIONS = { webSocket: WebSocket, reconnectDelay: 20 };
const TOKEN = '5f0c8b1f7e9d4a26b3c8d7e6f5a49382';

async function connected(context, server, options = {}) {
  const client = await SessionBuddyClient.connect(server.url, { ...OPTIONS, ...options });
  context.after(() => client.close());
  return client;
}

/** The first update that counts this many runs: what was handed in is in the figures a moment later. */
async function counted(client, runs) {
  for await (const update of client.updates()) {
    const { top_skills: skills } = update.data;
    if (skills.reduce((sum, skill) => sum + skill.invocation_count, 0) === runs) return update;
  }
  throw new Error('the client was closed');
}

/** With authentication on. */
async function guarded(context) {
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

test('requests that wait at the same time get each its own answer', async (context) => {
  const server = await Server.start(context);
  await server.record('mypy');
  await server.record('pytest-run');
  await server.record('pytest-run', false);
  const client = await connected(context, server);
  await counted(client, 3);
  const [mypy, unknown, pytest, ping] = await Promise.allSettled([
    client.getMetrics('mypy'),
    client.getMetrics('nobody'),
    client.getMetrics('pytest-run'),
    client.ping(),
  ]);
  assert.equal(mypy.value.total_invocations, 1);
  assert.equal(pytest.value.completion_rate, 0.5);
  assert.ok(unknown.reason instanceof RequestError);
  assert.equal(unknown.reason.code, 'invalid_skill_name');
  assert.ok(ping.value >= 0);
});

test('a subscription that the server refuses leaves the one before as it was', async (context) => {
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

test('more requests at a time than allowed fail at once', async (context) => {
  const server = await Server.start(context);
  const client = await connected(context, server, { maxPending: 2 });
  const results = await Promise.allSettled([client.ping(), client.ping(), client.ping()]);
  assert.deepEqual(
    results.map((result) => result.status),
    ['fulfilled', 'fulfilled', 'rejected'],
  );
});

test('a server that goes down in order says so', async (context) => {
  const server = await Server.start(context);
  // Not back before it was looked at: an attempt that fails would be the reason then.
  const client = await connected(context, server, { reconnectDelay: 60_000 });
  await server.stop('SIGTERM');
  await until(() => client.state.status === 'waiting', 'the loss');
  assert.equal(client.state.error.closeCode, 1001);
  assert.match(client.state.error.message, /going down/);
  await assert.rejects(client.ping(), ConnectionError);
});

test('without a token the server is not asked again and again', async (context) => {
  const server = await guarded(context);
  const client = new SessionBuddyClient(server.url, OPTIONS);
  context.after(() => client.close());
  await client.subscribe(null);
  const states = [];
  client.on('state', (state) => states.push(state.status));
  await assert.rejects(client.connect(), UnauthorizedError);
  assert.deepEqual(states, ['connecting', 'closed']);
});

test('a wrong token is refused with the reason of the server', async (context) => {
  const server = await guarded(context);
  await assert.rejects(SessionBuddyClient.connect(server.url, { ...OPTIONS, token: 'wrong' }), {
    name: 'UnauthorizedError',
    message: 'The token is not valid',
  });
});

test('a token is shown in the first message, after each restart again', async (context) => {
  const server = await guarded(context);
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
