// Faulty servers: silent, gone, or sending invalid messages; and rules that need no server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { ConnectionError, RequestError, SessionBuddyClient, SessionBuddyError, TimeoutError } from '../dist/index.js';
import { Backoff, DEFAULT_POLICY } from '../dist/reconnect.js';
import { BoundedStream } from '../dist/stream.js';

import { until } from './server.mjs';

/** A server on a free port that calls `answer(message, socket)` for each message. */
async function fake(context, answer) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  context.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    socket.on('message', (data) => answer(JSON.parse(data), socket));
  });
  return { server, url: `ws://127.0.0.1:${server.address().port}`, connections: () => connections };
}

function client(context, url, options) {
  const made = new SessionBuddyClient(url, { webSocket: WebSocket, reconnectDelay: 5, ...options });
  context.after(() => made.close());
  return made;
}

test('a request without a response times out, and the connection stays open', async (context) => {
  const { url } = await fake(context, () => {});
  const made = client(context, url, { requestTimeout: 20 });
  await made.connect();
  await assert.rejects(made.getMetrics('mypy'), TimeoutError);
  assert.equal(made.state.status, 'open');
});

test('a late response is ignored', async (context) => {
  const late = [];
  const { url } = await fake(context, (message, socket) => {
    if (message.type === 'get_metrics')
      late.push(() => socket.send(JSON.stringify({ type: 'pong', request_id: message.request_id })));
    else socket.send(JSON.stringify({ type: 'pong', request_id: message.request_id }));
  });
  const made = client(context, url, { requestTimeout: 50 });
  await made.connect();
  await assert.rejects(made.getMetrics('mypy'), TimeoutError);
  late[0]();
  assert.ok((await made.ping()) >= 0);
});

test('the client reconnects when the server stops responding', async (context) => {
  const { url, connections } = await fake(context, () => {});
  const made = client(context, url, { silence: 10, requestTimeout: 20 });
  await made.connect();
  await until(() => connections() >= 2, 'another connection');
});

test('a connection that does not become ready times out', async (context) => {
  const { url } = await fake(context, () => {});
  const made = client(context, url, { connectTimeout: 20, token: 'a token', maxAttempts: 0 });
  await assert.rejects(made.connect(), TimeoutError);
  assert.equal(made.state.status, 'closed');
});

test('invalid messages are reported as errors, and the connection stays open', async (context) => {
  const { url, server } = await fake(context, (message, socket) => {
    socket.send(JSON.stringify({ type: 'pong', request_id: message.request_id }));
  });
  const made = client(context, url);
  const errors = [];
  made.on('error', (error) => errors.push(error));
  await made.connect();
  for (const text of ['{', '[]', 'null', '{"no":"type"}', '{"type":"of_a_later_version"}']) {
    for (const socket of server.clients) socket.send(text);
  }
  await made.ping();
  assert.equal(errors.length, 4);
  assert.equal(made.state.status, 'open');
});

test('an exception in a listener does not affect the others and is reported as uncaught', async (context) => {
  const { url } = await fake(context, (_message, socket) => {
    socket.send('{"type":"session_update","timestamp":"","data":{"active_sessions":[]}}');
  });
  // In a separate process, as an uncaught exception would fail the test.
  const program = `
    import { SessionBuddyClient } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
    import WebSocket from ${JSON.stringify(import.meta.resolve('ws'))};
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const client = new SessionBuddyClient(${JSON.stringify(url)}, { webSocket: WebSocket, requestTimeout: 1000 });
    client.on('sessions', () => { throw new Error('mine'); });
    client.on('sessions', () => { console.log('heard'); client.close(); });
    await client.connect();
    client.ping().catch(() => {});
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  await once(child, 'close');
  assert.deepEqual(output.trim().split('\n').sort(), ['heard', 'uncaught mine']);
});

test('the client reports each of maxAttempts attempts, then gives up and ends iterations with the error', async (context) => {
  const { url, server } = await fake(context, () => {});
  const made = client(context, url, { maxAttempts: 3 });
  await made.connect();
  const updates = made.updates();
  const states = [];
  made.on('state', (state) => states.push(state));
  const gone = new Promise((resolve) => server.close(resolve));
  for (const socket of server.clients) socket.terminate();
  await gone;
  await assert.rejects(updates.next(), ConnectionError);
  assert.deepEqual(await updates.next(), { value: undefined, done: true });
  assert.deepEqual(
    states.filter((state) => state.status === 'waiting').map((state) => [state.attempt, state.maxAttempts]),
    [
      [1, 3],
      [2, 3],
      [3, 3],
    ],
  );
  assert.equal(states.at(-1).status, 'closed');
  await assert.rejects(made.ping(), ConnectionError);
});

/** A server that rejects the skill `bad` and sessions, and confirms all else. `asked` lists the requests in order. */
async function rejecting(context) {
  const asked = [];
  const { url, server } = await fake(context, ({ type, skill_name, request_id }, socket) => {
    asked.push(type === 'subscribe' ? skill_name : type);
    const rejected = skill_name === 'bad' || type === 'subscribe_sessions';
    const answer = rejected
      ? { type: 'error', code: 'invalid_skill_name', message: 'rejected' }
      : { type: 'subscription_confirmed' };
    socket.send(JSON.stringify({ ...answer, request_id }));
    socket.send('{"type":"metrics_update","timestamp":"","data":{"top_skills":[],"anomalies":[]}}');
  });
  const disconnect = () => {
    for (const socket of server.clients) socket.terminate();
  };
  return { url, asked, disconnect };
}

test('a subscription that is rejected while connecting leaves the connection open without it', async (context) => {
  const { url, asked } = await rejecting(context);
  const made = client(context, url);
  const errors = [];
  made.on('error', (error) => errors.push(error));
  const updates = made.updates();
  const connected = made.connect();
  await assert.rejects(made.subscribe('bad'), RequestError);
  await connected;
  await made.subscribe('good');
  await updates.next();
  assert.deepEqual([asked, errors], [['bad', 'good'], []]);
});

test('a subscription that is rejected after a reconnection keeps the confirmed one', async (context) => {
  const { url, asked, disconnect } = await rejecting(context);
  const made = client(context, url);
  await made.connect();
  await made.subscribe('good');
  const waiting = new Promise((resolve) => made.on('state', (state) => state.status === 'waiting' && resolve()));
  disconnect();
  await waiting;
  await Promise.all([
    assert.rejects(made.subscribe('bad'), RequestError),
    assert.rejects(made.subscribeSessions(), RequestError),
  ]);
  await until(() => made.state.status === 'open', 'another connection');
  assert.deepEqual(asked, ['good', 'bad', 'subscribe_sessions', 'good']);
});

test('a rejection without a pending call is reported as an error event, and the connection opens', async (context) => {
  const { url } = await rejecting(context);
  const made = client(context, url);
  const errors = [];
  made.on('error', (error) => errors.push(error.code));
  await made.subscribe('bad');
  await made.connect();
  assert.deepEqual([errors, made.state.status], [['invalid_skill_name'], 'open']);
});

test('a server that confirms and then closes the connection counts as unreachable', async (context) => {
  const { url, connections } = await fake(context, (message, socket) => {
    socket.send(JSON.stringify({ type: 'subscription_confirmed', request_id: message.request_id }), () =>
      socket.close(1011),
    );
  });
  const made = client(context, url, { maxAttempts: 3, reconnectDelay: 100 });
  await made.subscribe(null);
  let opened = 0;
  made.on('state', (state) => {
    if (state.status === 'open') opened += 1;
  });
  await made.connect();
  await until(() => made.state.status === 'closed', 'the last attempt');
  assert.deepEqual([connections(), opened], [4, 4]);
});

test('a stable connection resets the attempts', async (context) => {
  const { url, server } = await fake(context, (message, socket) => {
    socket.send(JSON.stringify({ type: 'pong', request_id: message.request_id }));
  });
  const made = client(context, url, { maxAttempts: 1, reconnectDelay: 20, maxReconnectDelay: 20 });
  const attempts = [];
  made.on('state', (state) => {
    if (state.status === 'waiting') attempts.push(state.attempt);
  });
  await made.connect();
  for (let life = 1; life <= 3; life += 1) {
    const begin = performance.now();
    await until(() => performance.now() - begin > 100, 'a stable connection');
    await made.ping();
    for (const socket of server.clients) socket.terminate();
    await until(() => attempts.length === life && made.state.status === 'open', 'another connection');
  }
  assert.deepEqual(attempts, [1, 1, 1]);
});

test('without maxAttempts the client never gives up', async (context) => {
  const { url, server } = await fake(context, () => {});
  const made = client(context, url, { maxAttempts: null, maxReconnectDelay: 5 });
  await made.connect();
  const gone = new Promise((resolve) => server.close(resolve));
  for (const socket of server.clients) socket.terminate();
  await gone;
  await until(() => made.state.status === 'waiting' && made.state.attempt > 4, 'the fifth attempt');
});

test('a failed static connect() leaves no retries running', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(SessionBuddyClient.connect(`ws://127.0.0.1:${port}`, { webSocket: WebSocket }), ConnectionError);
});

test('an invalid URL is an error, not an attempt', async (context) => {
  const made = client(context, 'ws://');
  await assert.rejects(made.connect(), ConnectionError);
  assert.equal(made.state.status, 'closed');
});

test('without a global WebSocket the message names the options', (context) => {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket'); // Node has one from 22 on
  delete globalThis.WebSocket;
  context.after(() => own && Object.defineProperty(globalThis, 'WebSocket', own));
  assert.throws(
    () => new SessionBuddyClient('ws://localhost:8765'),
    (error) => {
      assert.ok(error instanceof SessionBuddyError);
      assert.match(error.message, /package ws/);
      return true;
    },
  );
});

const rule = JSON.parse(await readFile(new URL('../../reconnection.json', import.meta.url), 'utf8'));

test('the defaults of reconnection are those of the rule', () => {
  const { firstDelay, maxDelay, maxAttempts } = DEFAULT_POLICY;
  const seconds = { first_delay: firstDelay / 1000, max_delay: maxDelay / 1000, max_attempts: maxAttempts };
  assert.deepEqual(seconds, rule.defaults);
});

for (const each of rule.cases) {
  test(`the maximum wait before each attempt: ${each.name}`, () => {
    const seconds = { ...rule.defaults, ...each };
    const policy = { firstDelay: seconds.first_delay * 1000, maxDelay: seconds.max_delay * 1000, maxAttempts: null };
    let now = 1_000_000;
    const backoff = new Backoff(
      policy,
      () => now,
      () => 1,
    );
    backoff.failed = each.attempts_before ?? 0;
    for (const step of each.steps) {
      if (step.connect) {
        backoff.connected();
        now += step.connect.seconds * 1000;
        for (let update = 0; update < step.connect.updates; update += 1) backoff.updated();
      } else assert.equal(backoff.lost(), step.lose * 1000);
    }
  });
}

test('the wait is random between zero and its maximum', () => {
  const backoff = new Backoff({ firstDelay: 1000, maxDelay: 1000, maxAttempts: null });
  const waits = Array.from({ length: 100 }, () => backoff.lost());
  assert.ok(new Set(waits).size > 90);
  assert.ok(Math.min(...waits) >= 0 && Math.min(...waits) < 500);
  assert.ok(Math.max(...waits) <= 1000 && Math.max(...waits) > 500);
});

test('a slow consumer gets the newest items and the number of dropped ones', async () => {
  const stream = new BoundedStream(3, () => {});
  for (let item = 1; item <= 10; item += 1) stream.push(item);
  stream.end();
  const read = [];
  for await (const item of stream) read.push(item);
  assert.deepEqual(read, [8, 9, 10]);
  assert.equal(stream.dropped, 7);
});

test('a stream that the consumer leaves is released', async (context) => {
  const { url, server } = await fake(context, () => {});
  const made = client(context, url);
  await made.connect();
  const update = '{"type":"metrics_update","timestamp":"","data":{"top_skills":[],"anomalies":[]}}';
  const stream = made.updates();
  const timer = setInterval(() => {
    for (const socket of server.clients) socket.send(update);
  }, 5);
  for await (const each of stream) {
    assert.equal(each.type, 'metrics_update');
    break;
  }
  let more = 0;
  made.on('metrics', () => {
    more += 1;
  });
  await until(() => more > 3, 'more updates');
  clearInterval(timer);
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});
