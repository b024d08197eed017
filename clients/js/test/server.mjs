// Runs the real server as a child process, the program in SESSION_BUDDY_SERVER or else the one on the PATH, with clients of it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { SessionBuddyClient } from '../dist/index.js';

const PROGRAM = process.env.SESSION_BUDDY_SERVER ?? 'session-buddy-server';

export class Server {
  /** Starts a server on a free port with a new database; it stops when the test ends. */
  static async start(context, options = []) {
    const folder = await mkdtemp(join(tmpdir(), 'session-buddy-client-'));
    const server = new Server(folder, options);
    context.after(async () => {
      await server.stop('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    });
    await server.start();
    return server;
  }

  constructor(folder, options) {
    this.folder = folder;
    this.options = options;
    this.port = 0;
  }

  /** Starts on a free port the first time, then always on the same one. */
  async start() {
    const database = join(this.folder, 'skills.db');
    const base = ['--port', String(this.port), '--db-path', database, '--update-interval', '50ms'];
    this.process = spawn(PROGRAM, [...base, ...this.options], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    const listening = new Promise((resolve, reject) => {
      const onLine = (line) => {
        output.push(line);
        const match = /listening on ws:\/\/\S*:(\d+)/.exec(line);
        if (match) resolve(Number(match[1]));
      };
      createInterface({ input: this.process.stdout }).on('line', onLine);
      createInterface({ input: this.process.stderr }).on('line', onLine);
      this.process.on('error', reject);
      this.process.on('exit', (code) => reject(new Error(`${PROGRAM} ended with ${code}:\n${output.join('\n')}`)));
    });
    this.port = await listening;
  }

  async stop(signal) {
    const { process: child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const over = once(child, 'exit');
    child.kill(signal);
    await over;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Submits one invocation that has just ended. */
  async record(skill, completed = true, extra = {}) {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1/invocations`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ skill_name: skill, session_id: 'test', completed, duration_seconds: 0.5, ...extra }),
    });
    if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  }

  /** Submits the event of a shell command that ran pytest and hides its exit status: an unknown outcome of `pytest-run`. */
  async recordMasked(id) {
    const response = await fetch(`http://127.0.0.1:${this.port}/hooks/claude-code`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        hook_event_name: 'PostToolUse',
        session_id: 'test',
        tool_name: 'Bash',
        tool_use_id: id,
        tool_input: { command: 'pytest -q | tail -3' },
        tool_response: { stdout: '', stderr: '', interrupted: false },
        duration_ms: 500,
      }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  }
}

/** A connected client; it is closed when the test ends. */
export async function connected(context, server, options = {}) {
  const client = await SessionBuddyClient.connect(server.url, { webSocket: WebSocket, reconnectDelay: 20, ...options });
  context.after(() => client.close());
  return client;
}

/** Polls until the condition, which may be asynchronous, holds. One check ends before the next one begins. */
export async function until(condition, what) {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out waiting for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
