// What the build makes, as the server takes it: its names, its size, and nothing that the policy of the page forbids.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';

const BUDGET = 64 * 1024; // bytes, compressed
let out = '';
const files = new Map<string, Buffer>();

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'session-buddy-dashboard-'));
  await build({ logLevel: 'error', mode: 'production', build: { outDir: out, emptyOutDir: true } });
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

test('a few files with fixed names', () => {
  const names = ['assets/app.css', 'assets/app.js', 'assets/icon.svg', 'assets/licenses.txt', 'index.html'];
  expect([...files.keys()].sort()).toEqual(names);
});

test('small enough to be there at once', () => {
  const size = [...files.values()].reduce((sum, body) => sum + gzipSync(body).length, 0);
  expect(size).toBeLessThan(BUDGET);
});

test('no inline script or style, no address but relative ones', () => {
  const html = text('index.html');
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=/i);
  for (const [, address] of html.matchAll(/\s(?:src|href)="([^"]*)"/g)) expect(address).toMatch(/^\.\//);
});

test('the licences of what is bundled are passed on', () => {
  for (const name of ['preact', 'uplot']) expect(text('assets/licenses.txt')).toContain(name);
  expect(text('assets/licenses.txt')).toMatch(/Permission is hereby granted/);
});

test('nothing from elsewhere', () => {
  for (const [name, body] of files) {
    if (name.endsWith('.txt')) continue;
    const addresses = [...body.toString('utf8').matchAll(/https?:\/\/[^\s"'`)]+/g)].map(([address]) => address);
    // Names of XML vocabularies are no requests.
    expect([name, addresses.filter((address) => !address.startsWith('http://www.w3.org/'))]).toEqual([name, []]);
  }
  expect(text('assets/app.css')).not.toMatch(/@import|url\(/);
});

test('nothing that makes code of text', () => {
  expect(text('assets/app.js')).not.toMatch(/\beval\(|new Function\(|document\.write|insertAdjacentHTML|outerHTML/);
});
