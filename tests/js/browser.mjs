// Opens a page in Chromium and reports what happens in it: `node browser.mjs <chromium> <profile> <url>`, until SIGTERM.
//
// One line each on standard output: `@console <text>`, `@message <text>` for a received WebSocket frame, `@close` for a
// closed WebSocket, `@response <status> <url>`, `@pageerror <text>`. The browser's WebSocket is not replaced.
import { chromium } from 'playwright-core';

const [executablePath, profile, url] = process.argv.slice(2);

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  // The handler of SIGTERM below closes it.
  handleSIGTERM: false,
  handleSIGINT: false,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Pages of other origins are served from here as well.
    '--host-resolver-rules=MAP *.test 127.0.0.1',
  ],
});

let ending = false;
process.on('SIGTERM', async () => {
  ending = true;
  await context.close();
  process.exit(0);
});

const page = await context.newPage();
page.on('console', (message) => console.log('@console', message.text()));
page.on('response', (response) => console.log('@response', response.status(), response.url()));
page.on('pageerror', (error) => console.log('@pageerror', error.message));
page.on('websocket', (socket) => {
  socket.on('framereceived', ({ payload }) => console.log('@message', payload.toString()));
  socket.on('close', () => console.log('@close'));
});
try {
  await page.goto(url);
} catch (error) {
  // A page that is closed while it loads is not an error.
  if (!ending) throw error;
}
