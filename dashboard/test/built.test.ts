// The build output: file names, total size, and compliance with the Content-Security-Policy of the page.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

const BUDGET = 64 * 1024; // bytes, compressed
let out = '';
const files = new Map<string, Buffer>();

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'session-buddy-dashboard-'));
  // As `npm run build` does; the test runner sets another environment, for which the build is larger.
  vi.stubEnv('NODE_ENV', 'production');
  await build({ logLevel: 'error', mode: 'production', build: { outDir: out, emptyOutDir: true } });
  vi.unstubAllEnvs();
  for (const entry of await readdir(out, { recursive: true, withFileTypes: true })) {
    if (entry.isFile())
      files.set(
        join(entry.parentPath, entry.name).slice(out.length + 1),
        await readFile(join(entry.parentPath, entry.name)),
      );
  }
}, 60_000);

afterAll(() => rm(out, { recursive: true, force: true }));

const text = (name: string) => files.get(name)?.toString('utf8') ?? '';

test('the build has a fixed list of files', () => {
  const names = ['assets/app.css', 'assets/app.js', 'assets/icon.svg', 'assets/licenses.txt', 'index.html'];
  expect([...files.keys()].sort()).toEqual(names);
});

test('the compressed size is within the budget', () => {
  const size = [...files.values()].reduce((sum, body) => sum + gzipSync(body).length, 0);
  expect(size).toBeLessThan(BUDGET);
});

test('no inline scripts or styles, and relative URLs only', () => {
  const html = text('index.html');
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=/i);
  for (const [, address] of html.matchAll(/\s(?:src|href)="([^"]*)"/g)) expect(address).toMatch(/^\.\//);
});

test('the licences of bundled packages are included', () => {
  for (const name of ['preact', 'uplot']) expect(text('assets/licenses.txt')).toContain(name);
  expect(text('assets/licenses.txt')).toMatch(/Permission is hereby granted/);
});

test('no request to another host', () => {
  for (const [name, body] of files) {
    if (name.endsWith('.txt')) continue;
    const addresses = [...body.toString('utf8').matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([address]) => address);
    // XML namespace names cause no requests.
    expect([name, addresses.filter((address) => !address.startsWith('http://www.w3.org/'))]).toEqual([name, []]);
  }
  expect(text('assets/app.css')).not.toMatch(/@import|url\(/);
});

test('no code is created from strings', () => {
  expect(text('assets/app.js')).not.toMatch(/\beval\(|new Function\(|document\.write|insertAdjacentHTML|outerHTML/);
});
