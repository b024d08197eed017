// Runs every example of the README unchanged against a server with an anomaly.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Server } from './server.mjs';

const FOLDER = fileURLToPath(new URL('../', import.meta.url));
const EXAMPLES = [...readFileSync(`${FOLDER}README.md`, 'utf8').matchAll(/```javascript\n(.*?)```/gs)].map(
  ([, code]) => code,
);

/** The expected output of each example, in the order of the README. */
const PRINTS = [
  /pytest-run performance_drop \[/,
  /^(open|connecting)$/m,
  /^\d{4}-\d\d-\d\dT/m,
  /^pytest-run 0\.\d+ \d+$/m,
  /^\d+ \d+$/m,
  /^\d+\.\d+\.\d+/m,
];

test('every example has an expected output', () => assert.equal(EXAMPLES.length, PRINTS.length));

test('the examples of the README', async (context) => {
  const server = await Server.start(context);
  const begin = Date.now() - 3 * 3_600_000;
  for (let index = 0; index < 60; index += 1) {
    await server.record('pytest-run', true, { invoked_at: new Date(begin + index * 120_000).toISOString() });
  }
  for (let index = 0; index < 12; index += 1) await server.record('pytest-run', false, { error_type: 'exit_code' });

  for (const [index, example] of EXAMPLES.entries()) {
    await context.test(`number ${index + 1}`, async () => {
      const program = example.replaceAll('8765', String(server.port));
      // In the folder of the package, so that it resolves by name; before Node 22 the WebSocket needs a flag.
      const node = ['--experimental-websocket', '--input-type=module', '--eval', program];
      const child = spawn(process.execPath, node, { cwd: FOLDER });
      let output = '';
      let errors = '';
      const over = once(child, 'close');
      child.stderr.on('data', (data) => {
        errors += data;
      });
      child.stdout.on('data', (data) => {
        output += data;
        // Examples that iterate over updates do not end.
        if (PRINTS[index].test(output) && program.includes('for await')) child.kill('SIGKILL');
      });
      const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const [code, signal] = await over;
      clearTimeout(late);
      assert.match(output, PRINTS[index], errors);
      assert.ok(code === 0 || (signal === 'SIGKILL' && program.includes('for await')), errors);
    });
  }
});
