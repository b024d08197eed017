// A table of text: the first column names the rows, the others are numbers.
import type { ComponentChildren } from 'preact';
import './plain-table.css';

export interface TextColumn<Row> {
  label: string;
  text: (row: Row) => ComponentChildren;
}

export interface TableProps<Row> {
  /** For screen readers. */
  caption: string;
  columns: readonly TextColumn<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
}

export function PlainTable<Row>({ caption, columns, rows, keyOf }: TableProps<Row>) {
  return (
    <table class="plain-table">
      <caption class="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ label }, index) => (
            <th key={label} scope="col" class={index > 0 ? 'number' : ''}>
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ label, text }, index) =>
              index === 0 ? (
                <th key={label} scope="row">
                  {text(row)}
                </th>
              ) : (
                <td key={label} class="number">
                  {text(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
