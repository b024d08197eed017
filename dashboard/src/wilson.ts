// Confidence interval of a success rate.

const Z = 1.959963984540054; // of 95 %

export interface Interval {
  low: number;
  high: number;
}

/** The 95 % Wilson score interval of `successes` in `total` trials, as fractions; null without trials. */
export function wilson(successes: number, total: number): Interval | null {
  if (total <= 0) return null;
  const rate = successes / total;
  const z2 = Z * Z;
  const centre = (rate + z2 / (2 * total)) / (1 + z2 / total);
  const half = (Z / (1 + z2 / total)) * Math.sqrt((rate * (1 - rate)) / total + z2 / (4 * total * total));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
