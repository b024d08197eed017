// Success rate with its confidence interval.

const Z = 1.959963984540054; // of 95 %

/** Fractions. */
export interface Interval {
  rate: number;
  low: number;
  high: number;
}

/** The rate of `successes` in `total` trials with its 95 % Wilson score interval; null without trials. */
export function wilson(successes: number, total: number): Interval | null {
  if (total <= 0) return null;
  const rate = successes / total;
  const z2 = Z * Z;
  const centre = (rate + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z / (1 + z2 / total)) * Math.sqrt((rate * (1 - rate)) / total + z2 / (4 * total * total));
  return { rate, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
