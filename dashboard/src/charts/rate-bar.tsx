// A success rate with its 95 % interval: the bar ends at the rate, the whiskers mark the interval.
import type { Interval } from '../wilson.ts';
import './rate-bar.css';

export function RateBar({ rate, low, high }: Interval) {
  return (
    <svg class="rate-bar" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <rect class="rate-track" x="0" y="4" width="100" height="6" />
      <rect class="rate-fill" x="0" y="4" width={rate * 100} height="6" />
      <path
        class="rate-whisker"
        d={`M${low * 100} 7H${high * 100}M${low * 100} 3.5v7M${high * 100} 3.5v7`}
        vector-effect="non-scaling-stroke"
      />
    </svg>
  );
}
