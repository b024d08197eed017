// The skills panel: searched, filtered and sorted by the server.
import { useState } from 'preact/hooks';
import { isActive } from '../alerts.ts';
import { useAlerts } from '../data/alerts.ts';
import { type SkillPage, useSkills } from '../data/skills.ts';
import { useIdle, useWindow } from '../data/window.ts';
import { count, plural } from '../format.ts';
import { type Filter, INITIAL, PAGE_SIZE, reversed, type Selection } from '../skill-list.ts';
import { type Column, NAME } from './metrics.tsx';
import { Servers } from './servers.tsx';
import { COLUMNS, SkillsTable, SkillTableRow } from './skills-table.tsx';
import { Icon, Panel, Problem } from './ui.tsx';
import './skills.css';

const FILTERS: { filter: Filter; label: (windowLength: string) => string }[] = [
  { filter: 'all', label: () => 'All' },
  { filter: 'active', label: (windowLength) => `Active in ${windowLength}` },
  { filter: 'deviations', label: () => 'With deviations' },
  { filter: 'servers', label: () => 'MCP servers' },
];

interface SelectionProps {
  selection: Selection;
  /** Changes the selection, on the first page unless the change has an offset. */
  select: (change: Partial<Selection>) => void;
}

function Tools({ selection, select, windowLength }: SelectionProps & { windowLength: string }) {
  return (
    <div class="tools">
      <fieldset class="chips">
        <legend class="visually-hidden">Which skills</legend>
        {FILTERS.map(({ filter, label }) => (
          <button
            key={filter}
            type="button"
            class="chip chip-button"
            aria-pressed={selection.filter === filter}
            onClick={() => select({ filter })}
          >
            {label(windowLength)}
          </button>
        ))}
      </fieldset>
      <label class="search">
        <span class="visually-hidden">Search for a skill</span>
        <Icon name="search" />
        <input
          type="search"
          value={selection.search}
          maxLength={64}
          placeholder="Search"
          autoComplete="off"
          spellcheck={false}
          onInput={(event) => select({ search: event.currentTarget.value })}
        />
      </label>
    </div>
  );
}

/** Replaces the headers of the table on narrow screens. */
function NarrowSort({ selection, select, sortBy }: SelectionProps & { sortBy: (column: Column) => void }) {
  const { sort, order, offset } = selection;
  return (
    <div class="narrow-sort">
      <label>
        Sort by{' '}
        <select
          value={sort}
          onChange={(event) => sortBy(COLUMNS.find((each) => each.sort === event.currentTarget.value) ?? NAME)}
        >
          {COLUMNS.map((column) => (
            <option key={column.sort} value={column.sort}>
              {column.label}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="button" onClick={() => select({ order: reversed(order), offset })}>
        {order === 'asc' ? 'Ascending' : 'Descending'}
      </button>
    </div>
  );
}

function Pager({ selection, select, page }: SelectionProps & { page: SkillPage }) {
  const { filter, offset } = selection;
  const { rows, total, first } = page;
  const last = Math.min(total, first + rows.length);
  if (total === 0 && offset === 0) return null;
  return (
    <div class="table-foot">
      <span class="quiet">
        {total > rows.length
          ? `${count(first + 1)} to ${count(last)} of ${count(total)} skills`
          : total > 0 && plural(total, 'skill')}
      </span>
      {filter !== 'deviations' && (total > PAGE_SIZE || offset > 0) && (
        <span class="pager">
          <button
            type="button"
            class="button"
            disabled={offset === 0}
            onClick={() => select({ offset: Math.max(0, offset - PAGE_SIZE) })}
          >
            Previous
          </button>
          <button
            type="button"
            class="button"
            disabled={last >= total}
            onClick={() => select({ offset: offset + PAGE_SIZE })}
          >
            Next
          </button>
        </span>
      )}
    </div>
  );
}

/** Why the table has no rows. */
function reason({ known, search }: SkillPage, filter: Filter, windowLength: string): string {
  if (!known) return 'Waiting for the first data.';
  if (search) return 'No skill name contains this text.';
  if (filter === 'deviations') return 'No skill deviates from its baseline.';
  if (filter === 'active') return `No skill was used in the last ${windowLength}.`;
  return 'No skills yet.';
}

interface ListProps extends SelectionProps {
  sortBy: (column: Column) => void;
  idle: boolean;
  windowLength: string;
}

function SkillList({ selection, select, sortBy, idle, windowLength }: ListProps) {
  const page = useSkills(selection, idle);
  const alerts = useAlerts().filter(isActive);
  const { rows, deviations, known, current, error } = page;
  return (
    <>
      <SkillsTable
        caption="Skills"
        sort={selection.sort}
        order={selection.order}
        sortBy={sortBy}
        idle={idle}
        windowLength={windowLength}
        current={current}
        known={known}
      >
        {rows.map((row) => (
          <SkillTableRow
            key={row.skill_name}
            row={row}
            alerts={alerts.filter((alert) => alert.skill_name === row.skill_name)}
            deviations={deviations.get(row.skill_name)}
            windowLength={windowLength}
          />
        ))}
      </SkillsTable>
      {rows.length === 0 && (known || !error) && <p class="nothing">{reason(page, selection.filter, windowLength)}</p>}
      {error && (
        <Problem
          what={known ? 'Not up to date:' : rows.length > 0 ? 'The most active skills only:' : 'Unknown:'}
          error={error}
        />
      )}
      <Pager selection={selection} select={select} page={page} />
    </>
  );
}

export function Skills() {
  const [selection, setSelection] = useState(INITIAL);
  const windowLength = useWindow();
  const idle = useIdle() !== null;

  const select = (change: Partial<Selection>) => setSelection((before) => ({ ...before, offset: 0, ...change }));
  const sortBy = ({ sort, first }: Column) =>
    select({ sort, order: sort === selection.sort ? reversed(selection.order) : first });
  const list = { selection, sortBy, idle, windowLength };

  return (
    <Panel
      id="skills"
      title="Skills"
      aside={<Tools selection={selection} select={select} windowLength={windowLength} />}
    >
      <NarrowSort selection={selection} select={select} sortBy={sortBy} />
      {selection.filter === 'servers' ? <Servers {...list} /> : <SkillList {...list} select={select} />}
    </Panel>
  );
}
