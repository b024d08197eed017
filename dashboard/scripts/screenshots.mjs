// Takes screenshots of the page for visual review: `npm run screenshots [pattern]`, into screenshots/. Covers every size,
// theme and state; fails on page errors, policy violations and horizontal overflow.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve } from '../test/fake-server.mjs';

const OUT = fileURLToPath(new URL('../screenshots/', import.meta.url));
const SIZES = [
  [360, 740],
  [1024, 768],
  [1920, 1080],
  [2560, 1440],
];
const SKILL = `#/skill/${encodeURIComponent('mypy')}`;
const STATES = [
  { name: 'busy', scenario: 'busy', hash: '', ready: '[data-testid=alert]' },
  { name: 'many', scenario: 'many', hash: '', ready: '[data-testid=alert]' },
  { name: 'calm', scenario: 'calm', hash: '', ready: '.skills-table tbody tr' },
  { name: 'off', scenario: 'off', hash: '', ready: '.skills-table tbody tr' },
  { name: 'no-alerts', scenario: 'no-alerts', hash: SKILL, ready: '.uplot canvas' },
  { name: 'mute', scenario: 'busy', hash: SKILL, ready: '.uplot canvas', open: ['Mute…'] },
  { name: 'skill', scenario: 'busy', hash: SKILL, ready: '.uplot canvas' },
  { name: 'bounds', scenario: 'busy', hash: '#/skill/Edit', ready: '.uplot canvas' },
  { name: 'unknown', scenario: 'busy', hash: '#/skill/npm%20test%20--%20--run', ready: '.uplot canvas' },
  {
    name: 'servers',
    scenario: 'busy',
    hash: '',
    ready: '[data-testid=alert]',
    open: ['MCP servers', 'session-buddy'],
  },
  { name: 'help', scenario: 'busy', hash: '#/help', ready: '.help' },
  { name: 'empty', scenario: 'empty', hash: '', ready: '[data-testid=empty]' },
  { name: 'old', scenario: 'old', hash: '', ready: '[data-testid=idle]' },
  { name: 'old-skill', scenario: 'old', hash: SKILL, ready: '.uplot canvas' },
  { name: 'unreadable', scenario: 'unreadable', hash: '', ready: '[data-testid=banner]' },
  { name: 'down', scenario: 'busy', hash: '', ready: '[data-testid=alert]', stop: true },
  { name: 'no-api', scenario: 'no-api', hash: '', ready: '.problem' },
  { name: 'token', scenario: 'token', hash: '', ready: 'dialog[open]' },
];

const executablePath =
  process.env.CHROMIUM ??
  ['/usr/bin/chromium', '/usr/bin/google-chrome', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
const pattern = new RegExp(process.argv[2] ?? '');
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
await mkdir(OUT, { recursive: true });
let errors = 0;

for (const state of STATES) {
  for (const [width, height] of SIZES) {
    for (const colorScheme of ['light', 'dark']) {
      const name = `${state.name}-${width}-${colorScheme}`;
      if (!pattern.test(name)) continue;
      const server = await serve({ scenario: state.scenario });
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme,
        timezoneId: 'Europe/Zurich',
        reducedMotion: 'reduce',
      });
      const page = await context.newPage();
      const report = (text) => {
        // Errors that the state itself causes are expected.
        if (/Failed to load resource|WebSocket connection|ERR_CONNECTION/.test(text)) return;
        errors += 1;
        console.error(`${name}: ${text}`);
      };
      page.on('console', (message) => message.type() === 'error' && report(message.text()));
      page.on('pageerror', (error) => report(error.message));
      await page.goto(server.url + state.hash);
      await page.waitForSelector(state.ready);
      await page.waitForLoadState('networkidle');
      if (state.stop) {
        await server.close();
        await page.waitForSelector('[data-testid=banner]');
        await page.waitForSelector('.stale-age');
      }
      for (const name of state.open ?? []) await page.getByRole('button', { name }).click();
      await page.waitForTimeout(state.open ? 500 : 150);
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (wide > 0) report(`wider than the window by ${wide} px`);
      await page.screenshot({ path: `${OUT}${name}.png`, fullPage: true });
      await context.close();
      if (!state.stop) await server.close();
    }
  }
}
await browser.close();
console.log(`screenshots in ${OUT}`);
process.exit(errors > 0 ? 1 : 0);
