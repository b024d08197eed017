// The table of the skills, with a column for each shown metric.
import type { SkillSort } from 'session-buddy-client';
import { KIND_LABELS, kindOf } from '../anomaly.ts';
import type { TrackedAnomaly } from '../anomaly-tracker.ts';
import { Sparkline } from '../charts/sparkline.tsx';
import type { SkillPage } from '../data/skills.ts';
import { deviation, moment, plural } from '../format.ts';
import { skillHref } from '../route.ts';
import type { SkillRow, SortOrder } from '../rows.ts';
import { type Column, METRICS, NAME } from './metrics.tsx';
import { Ago, KindIcon, Name } from './ui.tsx';
import './skills-table.css';

export const COLUMNS: readonly Column[] = [NAME, ...METRICS];

const NO_ANOMALIES: readonly TrackedAnomaly[] = [];
const SORTED = {
  asc: { aria: 'ascending', arrow: '▲' },
  desc: { aria: 'descending', arrow: '▼' },
} as const;

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
    <tr data-skill={row.skill_name}>
      <th scope="row" class={NAME.class}>
        <div class="name-cell">
          <a href={skillHref(row.skill_name)}>
            <Name name={row.skill_name} />
          </a>
          <AnomalyMarkers anomalies={anomalies} />
        </div>
        <div class="narrow-metrics">
          {plural(row.invocation_count, 'invocation')} · <Ago at={moment(row.last_invocation_at)} />
        </div>
      </th>
      {METRICS.map(({ sort, class: className, text, cell = text }) => (
        <td key={sort} class={className}>
          {cell(row, windowLength)}
        </td>
      ))}
      <td class="col-spark">
        {row.sparkline && <Sparkline counts={row.sparkline} label="Invocations an hour, last 24 h" />}
      </td>
    </tr>
  );
}

interface TableProps {
  page: SkillPage;
  sort: SkillSort;
  order: SortOrder;
  sortBy: (column: Column) => void;
  idle: boolean;
  windowLength: string;
}

export function SkillsTable({ page, sort, order, sortBy, idle, windowLength }: TableProps) {
  const { rows, anomalies, known, current } = page;
  return (
    <table class={`skills-table${current || !known ? '' : ' waiting'}`} aria-busy={!current}>
      <caption class="visually-hidden">
        Skills with their metrics of {idle ? 'all time' : `the last ${windowLength}`}
      </caption>
      <thead>
        <tr>
          {COLUMNS.map((column) => {
            const sorted = column.sort === sort ? SORTED[order] : null;
            return (
              <th key={column.sort} scope="col" class={column.class} aria-sort={sorted?.aria ?? 'none'}>
                <button type="button" onClick={() => sortBy(column)}>
                  {column.label}
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
      <tbody>
        {rows.map((row) => (
          <Row
            key={row.skill_name}
            row={row}
            anomalies={anomalies.get(row.skill_name) ?? NO_ANOMALIES}
            windowLength={windowLength}
          />
        ))}
      </tbody>
    </table>
  );
}
