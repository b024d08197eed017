// A broadcast with the Node package `ws`, for comparison: `node ws_broadcast.mjs MESSAGE_FILE INTERVAL`.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// Use the package of the JavaScript tests.
const { WebSocketServer } = createRequire(new URL('../../tests/js/package.json', import.meta.url))('ws');

const [file, interval] = process.argv.slice(2);
const message = readFileSync(file);

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096, perMessageDeflate: false });
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}`));
setInterval(() => {
  for (const client of server.clients) {
    client.send(message, { binary: false });
  }
}, Number(interval) * 1000);
