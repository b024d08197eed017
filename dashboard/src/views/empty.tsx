// Getting started: shown while no invocation was ever recorded.
import { useState } from 'preact/hooks';
import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { Icon } from './ui.tsx';
import './empty.css';

const SETUP_COMMANDS = [
  { title: 'Record Claude Code from now on', command: 'session-buddy hooks install' },
  { title: 'Import the sessions it recorded so far', command: 'session-buddy import ~/.claude/projects' },
  { title: 'Record any command', command: 'session-buddy run -- pytest -q' },
];

function Command({ command }: { command: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      // Clipboard access is denied; the text can still be selected.
    }
  };
  return (
    <div class="command">
      <code>{command}</code>
      {navigator.clipboard && (
        <button type="button" class="icon-button" onClick={copy} aria-label={`Copy: ${command}`} title="Copy">
          <Icon name={copied ? 'check' : 'copy'} />
        </button>
      )}
    </div>
  );
}

export function Empty() {
  const path = useStore(live, (state) => state.server?.database.path);
  return (
    <section class="panel empty" aria-labelledby="empty-title" data-testid="empty">
      <h2 id="empty-title">No invocations yet</h2>
      <p>The server is running. Metrics appear here automatically after the first invocation of a skill.</p>
      <ol>
        {SETUP_COMMANDS.map(({ title, command }) => (
          <li key={command}>
            <p>{title}</p>
            <Command command={command} />
          </li>
        ))}
      </ol>
      <p class="quiet">
        All of them use the database of <code>session-buddy serve</code>, unless <code>--db-path</code> selects another
        {path === undefined ? '' : ': '}
        {path !== undefined && <code class="path">{path}</code>}.
      </p>
    </section>
  );
}
