// Polls the selected page of the list of skills, and merges it with the live metrics.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { TrackedAnomaly } from '../anomaly-tracker.ts';
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
  /** The open anomalies by skill, largest deviation first. */
  anomalies: ReadonlyMap<string, readonly TrackedAnomaly[]>;
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
  const tracked = useStore(live, (state) => state.anomalies);
  const anomalies = useMemo(() => {
    const bySkill = new Map<string, TrackedAnomaly[]>();
    for (const each of tracked) {
      const name = each.anomaly.skill_name;
      bySkill.set(name, [...(bySkill.get(name) ?? []), each]);
    }
    return bySkill;
  }, [tracked]);
  const scores = useMemo(
    () => new Map([...anomalies].map(([name, [largest]]) => [name, largest?.anomaly.deviation_score ?? 0])),
    [anomalies],
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
  const total = typed.filter === 'anomalies' || !data ? rows.length : Math.max(data.total, rows.length);
  return { rows, anomalies, total, first: data?.offset ?? typed.offset, search, known: data !== null, current, error };
}
