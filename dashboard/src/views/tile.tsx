// A key metric of a summary, as one of the tiles in a `dl`.
import type { ComponentChildren } from 'preact';
import './tile.css';

export function Tile({
  label,
  value,
  note,
  isText = false,
  children,
}: {
  label: ComponentChildren;
  value: ComponentChildren;
  note: ComponentChildren;
  /** The value is text, not a number: shown smaller. */
  isText?: boolean | undefined;
  children?: ComponentChildren;
}) {
  return (
    <div class="metric">
      <dt>{label}</dt>
      <dd class={`metric-value${isText ? ' metric-value-text' : ''}`}>{value}</dd>
      <dd class="metric-note">{note}</dd>
      {children}
    </div>
  );
}
