// The table of the skills, with a column for each shown metric.
import type { ComponentChildren } from 'preact';
import type { Alert, Anomaly, SkillSort } from 'session-buddy-client';
import { kindOfAlert, levelTexts } from '../alerts.ts';
import { Sparkline } from '../charts/sparkline.tsx';
import { deviationText, kindOf } from '../deviations.ts';
import { moment, plural } from '../format.ts';
import { skillHref } from '../route.ts';
import type { SkillRow, SortOrder } from '../rows.ts';
import { type Column, METRICS, NAME } from './metrics.tsx';
import { Ago, KindIcon, Name } from './ui.tsx';
import './skills-table.css';

export const COLUMNS: readonly Column[] = [NAME, ...METRICS];

/** All columns, with the one of the sparklines. */
export const COLUMN_COUNT = COLUMNS.length + 1;

const SORTED = {
  asc: { aria: 'ascending', arrow: '▲' },
  desc: { aria: 'descending', arrow: '▼' },
} as const;

/** Alerts in the colour of their kind, and quiet marks of deviations that no alert explains. */
function Marks({ alerts, deviations }: { alerts: readonly Alert[]; deviations: readonly Anomaly[] }) {
  const icons = new Set(alerts.map((alert) => kindOfAlert(alert).icon));
  const marks = [
    ...alerts.map((alert) => {
      const { icon, label } = kindOfAlert(alert);
      return { icon, class: 'mark', text: `Alert: ${label}, ${levelTexts(alert).join(' → ')}` };
    }),
    ...deviations
      .filter((each) => !icons.has(kindOf(each)))
      .map((each) => ({ icon: kindOf(each), class: 'mark mark-quiet', text: deviationText(each) })),
  ];
  return (
    <>
      {marks.map(({ icon, class: className, text }) => (
        <span key={text} class={className} title={text}>
          <KindIcon kind={icon} />
          <span class="visually-hidden">{text}</span>
        </span>
      ))}
    </>
  );
}

interface RowProps {
  row: SkillRow;
  windowLength: string;
  class?: string;
  /** The first cell. */
  children: ComponentChildren;
}

/** A row of metrics; `children` name it. */
export function MetricsRow({ row, windowLength, class: className, children }: RowProps) {
  return (
    <tr class={className ?? ''}>
      <th scope="row" class={NAME.class}>
        <div class="name-cell">{children}</div>
        <div class="narrow-metrics">
          {plural(row.invocation_count, 'invocation')} · <Ago at={moment(row.last_invocation_at)} />
        </div>
      </th>
      {METRICS.map(({ sort, class: columnClass, text, cell = text }) => (
        <td key={sort} class={columnClass}>
          {cell(row, windowLength)}
        </td>
      ))}
      <td class="col-spark">
        {row.sparkline && <Sparkline counts={row.sparkline} label="Invocations an hour, last 24 h" />}
      </td>
    </tr>
  );
}

interface SkillRowProps {
  row: SkillRow;
  alerts?: readonly Alert[];
  deviations?: readonly Anomaly[] | undefined;
  windowLength: string;
  /** Below the row of its MCP server: the name of the tool within the server. */
  tool?: string;
}

export function SkillTableRow({ row, alerts = [], deviations = [], windowLength, tool }: SkillRowProps) {
  return (
    <MetricsRow row={row} windowLength={windowLength} class={tool === undefined ? '' : 'nested'}>
      <a href={skillHref(row.skill_name)}>
        <Name name={tool ?? row.skill_name} />
      </a>
      <Marks alerts={alerts} deviations={deviations} />
    </MetricsRow>
  );
}

interface TableProps {
  /** For screen readers; the time range follows. */
  caption: string;
  sort: SkillSort;
  order: SortOrder;
  sortBy: (column: Column) => void;
  idle: boolean;
  windowLength: string;
  /** Whether the rows are those of the current query; if not, whether there are others to show as outdated. */
  current: boolean;
  known: boolean;
  /** The rows. */
  children: ComponentChildren;
}

export function SkillsTable(props: TableProps) {
  const { caption, sort, order, sortBy, idle, windowLength, current, known, children } = props;
  return (
    <table class={`skills-table${current || !known ? '' : ' waiting'}`} aria-busy={!current}>
      <caption class="visually-hidden">
        {caption} with their metrics of {idle ? 'all time' : `the last ${windowLength}`}
      </caption>
      <thead>
        <tr>
          {COLUMNS.map((column) => {
            const { label, header } = column;
            const sorted = column.sort === sort ? SORTED[order] : null;
            return (
              <th key={column.sort} scope="col" class={column.class} aria-sort={sorted?.aria ?? 'none'}>
                <button
                  type="button"
                  onClick={() => sortBy(column)}
                  {...(header === undefined ? {} : { 'aria-label': label, title: label })}
                >
                  {header ?? label}
                  <span class="sort-arrow" aria-hidden="true">
                    {sorted?.arrow}
                  </span>
                </button>
              </th>
            );
          })}
          <th scope="col" class="col-spark">
            <span class="plain-head">Last 24 h</span>
          </th>
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}
