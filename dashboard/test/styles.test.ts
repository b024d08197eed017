// The stylesheets have no rules for classes that no component has.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const files = await readdir(SRC, { recursive: true });

async function text(ending: RegExp): Promise<string> {
  const found = files.filter((file) => ending.test(file));
  return (await Promise.all(found.map((file) => readFile(join(SRC, file), 'utf8')))).join('\n');
}

test('every class of a rule is used', async () => {
  const styles = (await text(/\.css$/)).replaceAll(/\/\*.*?\*\//gs, '');
  const sources = (await text(/\.tsx?$/)) + (await readFile(join(SRC, '../index.html'), 'utf8'));
  // `kind-${kind}` uses every class of a kind; u-cursor-x is one of uPlot.
  const used = (name: string) =>
    new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(sources) || sources.includes(`${name.split('-')[0]}-\${`);
  const names = [...new Set([...styles.matchAll(/\.([a-z][\w-]*)/g)].map(([, name]) => name ?? ''))];
  expect(names.length).toBeGreaterThan(100);
  expect(names.filter((name) => !used(name))).toEqual(['u-cursor-x']);
});
