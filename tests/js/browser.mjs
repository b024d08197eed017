// Opens a page in Chromium and reports what happens in it: `node browser.mjs <chromium> <url>`, until it is ended.
//
// One line each on standard output: `@console <text>`, `@message <text>` for a WebSocket frame that came in, `@close` for
// a WebSocket that closed, `@pageerror <text>`. The browser's own WebSocket is left as it is.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

const [executablePath, url] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), 'session-buddy-browser-'));

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

async function end() {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
  process.exit(0);
}
process.on('SIGTERM', end);
process.on('SIGINT', end);

const page = await context.newPage();
page.on('console', (message) => console.log('@console', message.text()));
page.on('pageerror', (error) => console.log('@pageerror', error.message));
page.on('websocket', (socket) => {
  socket.on('framereceived', ({ payload }) => console.log('@message', payload.toString()));
  socket.on('close', () => console.log('@close'));
});
await page.goto(url);
console.log('@loaded', await page.title());
