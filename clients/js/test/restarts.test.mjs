// Server restarts: the client reconnects, restores its subscriptions and misses no broadcast while connected.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import WebSocket from 'ws';
import { SessionBuddyClient } from '../dist/index.js';

import { connected, Server, until } from './server.mjs';

const RESTARTS = 10;
const TENACIOUS = { maxReconnectDelay: 200, maxAttempts: 1000 };

const key = (update) => JSON.stringify(update);
/** Number of invocations in a broadcast. */
const invocationsIn = (text) =>
  JSON.parse(text).data.top_skills.reduce((sum, skill) => sum + skill.invocation_count, 0);

async function withTwoSkills(context) {
  const server = await Server.start(context);
  await server.record('mypy');
  await server.record('pytest-run');
  return server;
}

/** Connects with the plain package ws and records all updates. */
async function connectRaw(url) {
  const socket = new WebSocket(url);
  const received = [];
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'metrics_update') received.push(key(message));
  });
  socket.on('error', () => {});
  await once(socket, 'open');
  return { socket, received, over: once(socket, 'close') };
}

test(`the client reconnects after ${RESTARTS} restarts and misses no broadcast while connected`, async (context) => {
  const server = await Server.start(context);
  const client = new SessionBuddyClient(server.url, { webSocket: WebSocket, reconnectDelay: 20, ...TENACIOUS });
  context.after(() => client.close());
  let received = [];
  let opened = 0;
  let invocations = 0;
  client.on('metrics', (update) => received.push(key(update)));
  client.on('state', (state) => {
    if (state.status === 'open') opened += 1;
  });
  await client.connect();

  for (let life = 1; life <= RESTARTS + 1; life += 1) {
    await until(() => opened === life, `connection ${life}`);
    const witness = await connectRaw(server.url);
    // Each invocation changes the next broadcast, so that a missing one is detected.
    const before = invocations;
    while (invocations < before + 5) {
      await server.record('pytest-run');
      invocations += 1;
      await until(
        () => witness.received.length > 0 && invocationsIn(witness.received.at(-1)) === invocations,
        'a broadcast with the invocation',
      );
    }
    await until(() => received.includes(witness.received.at(-1)), 'the newest broadcast');
    // Alternate between a kill and a graceful shutdown.
    await server.stop(life % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
    await witness.over;
    await until(() => client.state.status !== 'open', 'the disconnect');

    // From the first invocation of this life on: earlier broadcasts are identical, and the client may have connected earlier.
    const [mine, theirs] = [received, witness.received].map((all) =>
      all.slice(all.findIndex((text) => invocationsIn(text) > before)),
    );
    // A server that is killed during a broadcast has reached one of two clients only.
    const common = Math.min(mine.length, theirs.length);
    assert.ok(Math.abs(mine.length - theirs.length) <= 1, `life ${life}: ${mine.length} of ${theirs.length}`);
    assert.ok(common >= 5);
    assert.deepEqual(mine.slice(0, common), theirs.slice(0, common));
    received = [];
    if (life <= RESTARTS) await server.start();
  }
});

test('a subscription with its options survives a restart, and no other updates arrive', async (context) => {
  const server = await withTwoSkills(context);
  const client = await connected(context, server, TENACIOUS);
  await client.subscribe(['mypy', 'not-yet-run'], { minDeviation: 3, details: true });
  await client.subscribeSessions();
  const skills = new Set();
  let updates = 0;
  let sessions = 0;
  client.on('metrics', (update) => {
    updates += 1;
    for (const skill of update.data.top_skills) skills.add(skill.skill_name);
  });
  client.on('sessions', () => {
    sessions += 1;
  });
  for (let restart = 0; restart < 3; restart += 1) {
    await server.stop('SIGKILL');
    updates = 0;
    sessions = 0;
    await server.start();
    await until(() => updates >= 3 && sessions >= 1, 'updates after a restart');
  }
  assert.deepEqual([...skills], ['mypy']);
});

test('an unsubscribed client stays unsubscribed after a restart', async (context) => {
  const server = await Server.start(context);
  const client = await connected(context, server, TENACIOUS);
  await client.unsubscribe();
  let updates = 0;
  client.on('metrics', () => {
    updates += 1;
  });
  await server.stop('SIGTERM');
  await server.start();
  await until(() => client.state.status === 'open', 'the connection');
  const witness = await connectRaw(server.url);
  await until(() => witness.received.length >= 5, 'five broadcasts to another client');
  witness.socket.close();
  assert.equal(updates, 0);
});

test('an iteration continues across a restart and ends with close()', async (context) => {
  const server = await Server.start(context);
  const client = await connected(context, server, TENACIOUS);
  const updates = client.updates();
  await updates.next();
  await server.stop('SIGKILL');
  await server.start();
  assert.equal((await updates.next()).value.type, 'metrics_update');
  await until(() => client.state.status === 'open', 'the connection');
  client.close();
  for await (const update of updates) assert.equal(update.type, 'metrics_update');
});

test('a subscription that changes while the server is down applies to the next connection', async (context) => {
  const server = await withTwoSkills(context);
  const client = await connected(context, server, TENACIOUS);
  await client.subscribe('mypy');
  await server.stop('SIGKILL');
  await until(() => client.state.status === 'waiting', 'the disconnect');
  const names = [];
  client.on('metrics', (update) => names.push(update.data.top_skills.map((skill) => skill.skill_name)));
  const subscribed = client.subscribe('pytest-run');
  await server.start();
  await subscribed;
  await until(() => names.length >= 2, 'updates');
  for (const each of names) assert.deepEqual(each, ['pytest-run']);
});
