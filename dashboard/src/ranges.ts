// The time ranges of the history charts, and the step that is requested for each.

export interface Range {
  id: string;
  label: string;
  /** Both in seconds. */
  length: number;
  step: number;
}

export const DAY: Range = { id: '24h', label: '24 h', length: 86_400, step: 900 };

export const RANGES: readonly Range[] = [
  { id: '1h', label: '1 h', length: 3600, step: 60 },
  { id: '6h', label: '6 h', length: 21_600, step: 300 },
  DAY,
  { id: '7d', label: '7 d', length: 604_800, step: 7200 },
  { id: '30d', label: '30 d', length: 2_592_000, step: 21_600 },
];

/** Aligned to whole steps, the last of which contains `now`: the request and its ETag stay the same within a step. */
export function bounds(range: Range, now: number): { from: Date; to: Date } {
  const to = (Math.floor(now / 1000 / range.step) + 1) * range.step;
  return { from: new Date((to - range.length) * 1000), to: new Date(to * 1000) };
}
