// Polls the selected page of the list of skills, and merges it with the live metrics.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Anomaly } from 'session-buddy-client';
import { deviationsBySkill } from '../deviations.ts';
import { liveSkills, type SkillRow } from '../rows.ts';
import { missingSkills, queryOf, rowsOf, type Selection } from '../skill-list.ts';
import { api, live } from './live.ts';
import { usePoll } from './poll.ts';
import { useStore } from './store.ts';

const DEBOUNCE = 200; // milliseconds after the last key before a request is sent

function useDebounced(value: string): string {
  const [debounced, setDebounced] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDebounced(value), DEBOUNCE);
    return () => clearTimeout(timer);
  }, [value]);
  return debounced;
}

export interface SkillPage {
  rows: SkillRow[];
  /** By skill, largest first. */
  deviations: ReadonlyMap<string, readonly Anomaly[]>;
  /** Number of skills on all pages. */
  total: number;
  /** Index of the first row; while the next page loads, that of the shown one. */
  first: number;
  /** What the server searched for. */
  search: string;
  /** Whether there is a response of the server. */
  known: boolean;
  /** Whether that response is one to the current query. */
  current: boolean;
  error: Error | null;
}

/** `idle` if the window is empty: the rows then have the metrics of all time. */
export function useSkills(typed: Selection, idle: boolean): SkillPage {
  const search = useDebounced(typed.search.trim());
  const selection = { ...typed, search };
  const query = queryOf(selection, idle);
  const { data, current, error, refresh } = usePoll(JSON.stringify(query), (signal) => api.skills(query, { signal }));

  const update = useStore(live, (state) => state.update);
  const deviations = useMemo(() => deviationsBySkill(update?.data.anomalies ?? []), [update]);
  const scores = useMemo(
    () => new Map([...deviations].map(([name, [largest]]) => [name, largest?.deviation_score ?? 0])),
    [deviations],
  );

  const newer = liveSkills(update, data?.at);
  const missing = data && current ? missingSkills(selection, data, newer) : [];
  const missingNames = missing.map((skill) => skill.skill_name).join('\n');
  useEffect(() => {
    if (missingNames) refresh();
  }, [missingNames, refresh]);

  const rows = useMemo(
    () => rowsOf(selection, data, newer, missing, scores, idle),
    [data, update, missingNames, scores, idle, search, typed.filter, typed.sort, typed.order, typed.offset],
  );
  const total = typed.filter === 'deviations' || !data ? rows.length : Math.max(data.total, rows.length);
  return { rows, deviations, total, first: data?.offset ?? typed.offset, search, known: data !== null, current, error };
}
