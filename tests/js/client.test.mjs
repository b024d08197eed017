// The package ws as a client of a running server: `node --test client.test.mjs`, with SERVER_URL set.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';

import WebSocket from 'ws';

const url = process.env.SERVER_URL;

// Returns received messages one by one, in order. Prints each, so that test_node_client.py can validate it.
async function connect(path = '') {
  const socket = new WebSocket(url + path);
  const waiting = [];
  let wake = () => {};
  socket.on('message', (data, isBinary) => {
    assert.equal(isBinary, false);
    console.log(`@message ${data}`);
    waiting.push(JSON.parse(data));
    wake();
  });
  await once(socket, 'open');
  return {
    socket,
    send: (message) => socket.send(JSON.stringify(message)),
    async next(type) {
      for (;;) {
        while (waiting.length === 0) {
          await new Promise((resolve) => { wake = resolve; });
        }
        const message = waiting.shift();
        if (message.type === type) {
          return message;
        }
      }
    },
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

const names = (update) => update.data.top_skills.map((skill) => skill.skill_name);

for (const path of ['', '/', '/ws', '/ws?from=test']) {
  test(`updates arrive without a request on '${path}'`, async () => {
    const client = await connect(path);
    assert.deepEqual(names(await client.next('metrics_update')), ['pytest-run', 'mypy']);
    await client.close();
  });
}

test('another path is rejected', async () => {
  const socket = new WebSocket(`${url}/elsewhere`);
  const [request, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 404);
  request.destroy();
});

test('a subscription narrows the updates', async () => {
  const client = await connect();
  client.send({ type: 'subscribe', skill_names: ['mypy', 'not-yet-run'], request_id: 'a' });
  const confirmed = await client.next('subscription_confirmed');
  assert.deepEqual(confirmed.skill_names, ['mypy', 'not-yet-run']);
  assert.equal(confirmed.request_id, 'a');
  assert.deepEqual(names(await client.next('metrics_update')), ['mypy']);
  await client.close();
});

test('requests are answered in order', async () => {
  const client = await connect();
  client.send({ type: 'get_metrics', skill_name: 'mypy', request_id: '1' });
  client.send({ type: 'get_metrics', skill_name: 'unknown', request_id: '2' });
  client.send({ type: 'ping', request_id: '3' });
  const metrics = await client.next('metrics_response');
  assert.equal(metrics.data.total_invocations, 2);
  assert.equal(metrics.request_id, '1');
  const error = await client.next('error');
  assert.equal(error.code, 'invalid_skill_name');
  assert.equal(error.request_id, '2');
  assert.equal((await client.next('pong')).request_id, '3');
  await client.close();
});

test('invalid JSON is answered with an error and the connection stays open', async () => {
  const client = await connect();
  client.socket.send('{');
  assert.equal((await client.next('error')).message, 'Invalid JSON');
  client.send({ type: 'ping' });
  await client.next('pong');
  await client.close();
});

test('sessions can be subscribed to', async () => {
  const client = await connect();
  client.send({ type: 'subscribe_sessions' });
  await client.next('sessions_subscribed');
  const update = await client.next('session_update');
  assert.deepEqual(update.data.active_sessions.map((session) => session.session_id), ['session-1']);
  await client.close();
});

for (const [what, code, send] of [
  ['a binary frame', 1003, (socket) => socket.send(Buffer.from([1, 2]))],
  ['a message that is too long', 1009, (socket) => socket.send('x'.repeat(65537))],
]) {
  test(`${what} closes with ${code}`, async () => {
    const client = await connect();
    send(client.socket);
    const [actual] = await once(client.socket, 'close');
    assert.equal(actual, code);
  });
}

test('ws answers the pings of the server and stays', async () => {
  const client = await connect();
  await once(client.socket, 'ping');
  await once(client.socket, 'ping');
  client.send({ type: 'ping' });
  await client.next('pong');
  await client.close();
});
