// Polls the MCP servers with the sums over their tools, and the tools of an expanded one.
import { useEffect, useMemo } from 'preact/hooks';
import { mergeRows, rowOfLifetime, rowOfServer, type ServerRow, type SkillRow, sortRows, toolPrefix } from '../rows.ts';
import type { Selection } from '../skill-list.ts';
import { api, live } from './live.ts';
import { usePoll } from './poll.ts';
import { useStore } from './store.ts';

/** Maximum of the API; servers beyond it have the fewest invocations. */
const MAX_SERVERS = 500;
/** Tools of one expanded server. */
const MAX_TOOLS = 100;

const NO_SCORES = new Map<string, number>();

interface Rows<Row> {
  rows: Row[];
  /** Whether there is a response of the server. */
  known: boolean;
  error: Error | null;
}

/** Invocations of the window over all skills: changes with each new invocation. */
function useWindowCount(): number {
  return useStore(live, ({ server }) => server?.invocation_count ?? 0);
}

export interface Servers extends Rows<ServerRow> {
  /** Number of servers, before the search. */
  total: number;
}

/** `idle` if the window is empty: the rows then have the metrics of all time. */
export function useServers({ search, sort, order }: Selection, idle: boolean): Servers {
  const { data, error, refresh } = usePoll('groups', (signal) => api.groups({ limit: MAX_SERVERS }, { signal }));
  const windowCount = useWindowCount();
  useEffect(refresh, [windowCount, refresh]);
  const rows = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    const all = (data?.groups ?? []).map((group) => rowOfServer(group, idle));
    const found = all.filter((row) => row.skill_name.toLowerCase().includes(wanted));
    return sortRows(found, sort, order, NO_SCORES);
  }, [data, search, sort, order, idle]);
  return { rows, known: data !== null, error, total: data?.total ?? 0 };
}

export interface Tools extends Rows<SkillRow> {
  /** Number of tools that are not among the rows. */
  more: number;
}

export function useTools(server: ServerRow, { sort, order }: Selection, idle: boolean): Tools {
  const prefix = toolPrefix(server.skill_name);
  const query = { search: prefix, sort, order, limit: MAX_TOOLS, sparkline: true };
  const { data, error, refresh } = usePoll(JSON.stringify(query), (signal) => api.skills(query, { signal }));
  const windowCount = useWindowCount();
  useEffect(refresh, [windowCount, refresh]);
  const rows = useMemo(() => {
    // The search also finds names that contain the prefix, and ignores the case.
    const tools = (data?.skills ?? []).filter((skill) => skill.skill_name.startsWith(prefix));
    return sortRows(idle ? tools.map(rowOfLifetime) : mergeRows(tools, []), sort, order, NO_SCORES);
  }, [data, prefix, sort, order, idle]);
  return { rows, known: data !== null, error, more: data ? Math.max(0, server.tools - rows.length) : 0 };
}
