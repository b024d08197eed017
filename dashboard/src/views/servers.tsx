// The MCP servers in the skills panel: one row for each, with the sums over its tools, which it expands to.
import { useState } from 'preact/hooks';
import { useServers, useTools } from '../data/servers.ts';
import { count, plural } from '../format.ts';
import { type ServerRow, toolPrefix } from '../rows.ts';
import type { Selection } from '../skill-list.ts';
import type { Column } from './metrics.tsx';
import { COLUMN_COUNT, MetricsRow, SkillsTable, SkillTableRow } from './skills-table.tsx';
import { Name, Problem } from './ui.tsx';

interface Shown {
  selection: Selection;
  idle: boolean;
  windowLength: string;
}

/** A row with a text across all columns. */
function TextRow({ text }: { text: string }) {
  return (
    <tr class="nested">
      <td class="quiet" colSpan={COLUMN_COUNT}>
        {text}
      </td>
    </tr>
  );
}

function Tools({ server, selection, idle, windowLength }: Shown & { server: ServerRow }) {
  const { rows, known, more, error } = useTools(server, selection, idle);
  return (
    <>
      {rows.map((row) => (
        <SkillTableRow
          key={row.skill_name}
          row={row}
          windowLength={windowLength}
          tool={row.skill_name.slice(toolPrefix(server.skill_name).length)}
        />
      ))}
      {error && <TextRow text={`${known ? 'Not up to date:' : 'Unknown:'} ${error.message}`} />}
      {!known && !error && <TextRow text="Loading." />}
      {more > 0 && <TextRow text={`and ${plural(more, 'more tool')}`} />}
    </>
  );
}

interface ServerProps extends Shown {
  row: ServerRow;
  expanded: boolean;
  toggle: () => void;
}

function Server({ row, expanded, toggle, ...shown }: ServerProps) {
  return (
    <>
      <MetricsRow row={row} windowLength={shown.windowLength}>
        <button type="button" class="expander" aria-expanded={expanded} onClick={toggle}>
          <span class="expander-arrow" aria-hidden="true">
            {expanded ? '▾' : '▸'}
          </span>
          <Name name={row.skill_name} />
        </button>
        <span class="tools-count quiet">{plural(row.tools, 'tool')}</span>
      </MetricsRow>
      {expanded && <Tools server={row} {...shown} />}
    </>
  );
}

export function Servers({ sortBy, ...shown }: Shown & { sortBy: (column: Column) => void }) {
  const { selection, idle, windowLength } = shown;
  const { rows, total, known, error } = useServers(selection, idle);
  // Here, so that a search that hides a server does not collapse it.
  const [expanded, setExpanded] = useState<ReadonlySet<string>>(new Set());
  const toggle = (name: string) =>
    setExpanded(
      (before) => new Set(before.has(name) ? [...before].filter((each) => each !== name) : [...before, name]),
    );
  return (
    <>
      <SkillsTable
        caption="MCP servers"
        sort={selection.sort}
        order={selection.order}
        sortBy={sortBy}
        idle={idle}
        windowLength={windowLength}
        current={known}
        known={known}
      >
        {rows.map((row) => (
          <Server
            key={row.skill_name}
            row={row}
            expanded={expanded.has(row.skill_name)}
            toggle={() => toggle(row.skill_name)}
            {...shown}
          />
        ))}
      </SkillsTable>
      {rows.length === 0 && (known || !error) && (
        <p class="nothing">
          {!known
            ? 'Waiting for the first data.'
            : total > 0
              ? 'No MCP server has a name that contains this text.'
              : 'No tool of an MCP server was used yet.'}
        </p>
      )}
      {error && <Problem what={known ? 'Not up to date:' : 'Unknown:'} error={error} />}
      {rows.length > 0 && (
        <div class="table-foot quiet">
          {total > rows.length
            ? `${count(rows.length)} of ${plural(total, 'MCP server')}`
            : plural(total, 'MCP server')}
        </div>
      )}
    </>
  );
}
