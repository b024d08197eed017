// The skills table: searched, filtered and sorted by the server, merged with live metrics.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { SkillSort } from 'session-buddy-client';
import { KIND_LABELS, kindOf, type TrackedAnomaly } from '../anomalies.ts';
import { RateBar } from '../charts/rate-bar.tsx';
import { Sparkline } from '../charts/sparkline.tsx';
import { api, live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { useStore } from '../data/store.ts';
import { count, deviation, duration, percent, plural } from '../format.ts';
import { skillHref } from '../route.ts';
import { liveSkills, mergeRows, rowOfLifetime, rowOfLive, type SkillRow, type SortOrder, sortRows } from '../rows.ts';
import { Ago, Icon, KindIcon, Name, Panel, Problem, useIdle, useWindow } from './ui.tsx';

const PAGE_SIZE = 50;
const DEBOUNCE = 200; // milliseconds after the last key before a request is sent

type Filter = 'all' | 'active' | 'anomalies';

const FILTERS: { filter: Filter; label: (windowLength: string) => string }[] = [
  { filter: 'all', label: () => 'All' },
  { filter: 'active', label: (windowLength) => `Active in ${windowLength}` },
  { filter: 'anomalies', label: () => 'With anomalies' },
];

interface Column {
  sort: SkillSort;
  label: string;
  class: string;
  first: SortOrder;
}

const COLUMNS: Column[] = [
  { sort: 'skill_name', label: 'Skill', class: 'col-name', first: 'asc' },
  { sort: 'invocation_count', label: 'Invocations', class: 'col-invocations number', first: 'desc' },
  { sort: 'completion_rate', label: 'Success rate', class: 'col-rate', first: 'asc' },
  { sort: 'avg_duration', label: 'Mean duration', class: 'col-duration number', first: 'desc' },
  { sort: 'last_invocation_at', label: 'Last used', class: 'col-last number', first: 'desc' },
];

function useDebounced(value: string): string {
  const [debounced, setDebounced] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDebounced(value), DEBOUNCE);
    return () => clearTimeout(timer);
  }, [value]);
  return debounced;
}

function AnomalyMarkers({ anomalies }: { anomalies: readonly TrackedAnomaly[] }) {
  return (
    <>
      {anomalies.map(({ key, anomaly }) => {
        const kind = kindOf(anomaly);
        const label = `${KIND_LABELS[kind]}, ${deviation(anomaly.deviation_score)}`;
        return (
          <span key={key} class="mark" title={label}>
            <KindIcon kind={kind} />
            <span class="visually-hidden">{label}</span>
          </span>
        );
      })}
    </>
  );
}

interface RowProps {
  row: SkillRow;
  anomalies: readonly TrackedAnomaly[];
  windowLength: string;
}

function Row({ row, anomalies, windowLength }: RowProps) {
  return (
    <tr data-skill={row.name}>
      <th scope="row" class="col-name">
        <div class="name-cell">
          <a href={skillHref(row.name)}>
            <Name name={row.name} />
          </a>
          <AnomalyMarkers anomalies={anomalies} />
        </div>
        <div class="narrow-metrics">
          {plural(row.invocations, 'invocation')} · <Ago at={row.lastAt} />
        </div>
      </th>
      <td class="col-invocations number">{count(row.invocations)}</td>
      <td class="col-rate">
        {row.rate === null || row.low === null || row.high === null ? (
          <span class="quiet">no invocations in {windowLength}</span>
        ) : (
          <div
            class="rate-cell"
            title={`${row.completed} of ${row.invocations} completed; 95 % interval ${percent(row.low)} to ${percent(row.high)}`}
          >
            <span class="rate-value">{percent(row.rate)}</span>
            <RateBar rate={row.rate} low={row.low} high={row.high} />
            <span class="rate-n quiet">n = {count(row.invocations)}</span>
            <span class="visually-hidden">
              , 95 % interval {percent(row.low)} to {percent(row.high)}
            </span>
          </div>
        )}
      </td>
      <td class="col-duration number">{duration(row.avgDuration)}</td>
      <td class="col-last number">
        <Ago at={row.lastAt} />
      </td>
      <td class="col-spark">
        {row.sparkline && <Sparkline counts={row.sparkline} label="Invocations an hour, last 24 h" />}
      </td>
    </tr>
  );
}

export function Skills() {
  const [search, setSearch] = useState('');
  const [filter, setFilter] = useState<Filter>('all');
  const [sort, setSort] = useState<SkillSort>('invocation_count');
  const [order, setOrder] = useState<SortOrder>('desc');
  const [offset, setOffset] = useState(0);
  const debouncedSearch = useDebounced(search.trim());
  const windowLength = useWindow();
  const idle = useIdle() !== null;

  const update = useStore(live, (state) => state.update);
  const anomalies = useStore(live, (state) => state.anomalies);
  const bySkill = useMemo(() => {
    const map = new Map<string, TrackedAnomaly[]>();
    for (const each of anomalies) {
      const name = each.anomaly.skill_name;
      map.set(name, [...(map.get(name) ?? []), each]);
    }
    return map;
  }, [anomalies]);
  const scores = useMemo(
    () => new Map([...bySkill].map(([name, [heaviest]]) => [name, heaviest?.anomaly.deviation_score ?? 0])),
    [bySkill],
  );

  // The hundred largest anomalies are enough for one page.
  const onlyAnomalies = filter === 'anomalies';
  const query = {
    ...(debouncedSearch ? { search: debouncedSearch } : {}),
    ...(filter === 'active' ? { active: true } : {}),
    sort: onlyAnomalies
      ? ('deviation_score' as const)
      : idle && sort === 'invocation_count'
        ? ('total_invocations' as const)
        : sort,
    order: onlyAnomalies ? ('desc' as const) : order,
    limit: onlyAnomalies ? 100 : PAGE_SIZE,
    offset: onlyAnomalies ? 0 : offset,
    sparkline: true,
  };
  const { data, current, error, refresh } = usePoll(JSON.stringify(query), (signal) => api.skills(query, { signal }));

  const newer = liveSkills(update, data?.at);
  // Live skills that the list lacks: first used just now, or used again after a long time.
  const listed =
    data && current && !debouncedSearch && filter !== 'anomalies' && offset === 0 && data.total <= PAGE_SIZE;
  const missing = listed
    ? newer.filter((skill) => !data.skills.some((each) => each.skill_name === skill.skill_name))
    : [];
  const missingNames = missing.map((skill) => skill.skill_name).join('\n');
  useEffect(() => {
    if (missingNames) refresh();
  }, [missingNames, refresh]);

  const rows = useMemo(() => {
    const lower = debouncedSearch.toLowerCase();
    // Without a response the most active skills replace the first page, but no later one.
    const fallback = offset > 0 ? [] : newer.filter((skill) => skill.skill_name.toLowerCase().includes(lower));
    let merged = data
      ? idle
        ? data.skills.map(rowOfLifetime)
        : [...mergeRows(data.skills, newer), ...missing.map((skill) => rowOfLive(skill, null))]
      : fallback.map((skill) => rowOfLive(skill, null));
    if (onlyAnomalies) merged = merged.filter((row) => bySkill.has(row.name));
    return sortRows(merged, sort, order, scores);
  }, [data, update, debouncedSearch, onlyAnomalies, idle, bySkill, scores, sort, order, offset, missingNames]);

  const choose = (column: Column) => {
    setOffset(0);
    if (column.sort === sort) setOrder(order === 'asc' ? 'desc' : 'asc');
    else {
      setSort(column.sort);
      setOrder(column.first);
    }
  };
  const total = onlyAnomalies || !data ? rows.length : Math.max(data.total, rows.length);
  // While the next page loads, the current one keeps its row numbers.
  const first = data?.offset ?? offset;
  const last = Math.min(total, first + rows.length);

  return (
    <Panel
      id="skills"
      title="Skills"
      class="skills"
      aside={
        <div class="tools">
          <fieldset class="chips">
            <legend class="visually-hidden">Which skills</legend>
            {FILTERS.map(({ filter: each, label }) => (
              <button
                key={each}
                type="button"
                class="chip chip-button"
                aria-pressed={filter === each}
                onClick={() => {
                  setFilter(each);
                  setOffset(0);
                }}
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
              value={search}
              maxLength={64}
              placeholder="Search"
              autoComplete="off"
              spellcheck={false}
              onInput={(event) => {
                setSearch(event.currentTarget.value);
                setOffset(0);
              }}
            />
          </label>
        </div>
      }
    >
      <div class="narrow-sort">
        <label>
          Sort by{' '}
          <select
            value={sort}
            onChange={(event) => {
              const column = COLUMNS.find((each) => each.sort === event.currentTarget.value);
              if (column) choose(column);
            }}
          >
            {COLUMNS.map((column) => (
              <option key={column.sort} value={column.sort}>
                {column.label}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="button" onClick={() => setOrder(order === 'asc' ? 'desc' : 'asc')}>
          {order === 'asc' ? 'Ascending' : 'Descending'}
        </button>
      </div>
      <table class={`skills-table${current || !data ? '' : ' waiting'}`} aria-busy={!current}>
        <caption class="visually-hidden">
          Skills with their metrics of {idle ? 'all time' : `the last ${windowLength}`}
        </caption>
        <thead>
          <tr>
            {COLUMNS.map((column) => (
              <th
                key={column.sort}
                scope="col"
                class={column.class}
                aria-sort={column.sort === sort ? (order === 'asc' ? 'ascending' : 'descending') : 'none'}
              >
                <button type="button" onClick={() => choose(column)}>
                  {column.label}
                  <span class="sort-arrow" aria-hidden="true">
                    {column.sort === sort ? (order === 'asc' ? '▲' : '▼') : ''}
                  </span>
                </button>
              </th>
            ))}
            <th scope="col" class="col-spark">
              <span class="plain-head">Last 24 h</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.name} row={row} anomalies={bySkill.get(row.name) ?? []} windowLength={windowLength} />
          ))}
        </tbody>
      </table>
      {rows.length === 0 && !(error && !data) && (
        <p class="nothing">
          {!data
            ? 'Waiting for the first data.'
            : debouncedSearch
              ? 'No skill name contains this text.'
              : onlyAnomalies
                ? 'No skill has an open anomaly.'
                : filter === 'active'
                  ? `No skill was used in the last ${windowLength}.`
                  : 'No skills yet.'}
        </p>
      )}
      {error && (
        <Problem
          what={data ? 'Not up to date:' : rows.length > 0 ? 'The most active skills only:' : 'Unknown:'}
          error={error}
        />
      )}
      {(total > 0 || offset > 0) && (
        <div class="table-foot">
          <span class="quiet">
            {total > rows.length
              ? `${count(first + 1)} to ${count(last)} of ${count(total)} skills`
              : total > 0 && plural(total, 'skill')}
          </span>
          {!onlyAnomalies && (total > PAGE_SIZE || offset > 0) && (
            <span class="pager">
              <button
                type="button"
                class="button"
                disabled={offset === 0}
                onClick={() => setOffset(Math.max(0, offset - PAGE_SIZE))}
              >
                Previous
              </button>
              <button
                type="button"
                class="button"
                disabled={last >= total}
                onClick={() => setOffset(offset + PAGE_SIZE)}
              >
                Next
              </button>
            </span>
          )}
        </div>
      )}
    </Panel>
  );
}
