// Formats numbers and times. Durations are seconds, rates fractions, moments milliseconds since 1970.

const integers = new Intl.NumberFormat('en');
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const NONE = '–';

export function count(value: number): string {
  return integers.format(value);
}

/** "1 invocation", "12 invocations" */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** One decimal; 0 % and 100 % only for exactly 0 and 1. */
export function percent(rate: number | null): string {
  if (rate === null) return NONE;
  if (rate <= 0) return '0 %';
  if (rate >= 1) return '100 %';
  const value = Math.min(99.9, Math.max(0.1, rate * 100));
  return `${tenths.format(value)} %`;
}

/** The bounds of the confidence interval of a rate. */
export function between(low: number, high: number): string {
  return `between ${tenths.format(low * 100)} and ${percent(high)}`;
}

export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return NONE;
  if (seconds === 0) return '0 s';
  if (seconds < 0.0095) return `${tenths.format(Math.max(0.1, seconds * 1000))} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${(Math.round(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) {
    const rest = Math.round(seconds) % 60;
    return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
  }
  return span(Math.round(seconds));
}

/** A length of time with no more than two units: "8 min", "3 h 20 min", "12 d". */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days < 7 && hours % 24 !== 0 ? `${days} d ${hours % 24} h` : `${count(days)} d`;
}

const PERIODS = [
  [31_557_600, 'year'],
  [604_800, 'week'],
  [86_400, 'day'],
  [3600, 'hour'],
] as const;
const MAX_YEARS = 1000;

/** A long period, rounded, in the largest unit that it has two of: "40 weeks". */
export function period(seconds: number): string {
  const [length, unit] = PERIODS.find(([each]) => seconds >= 2 * each) ?? PERIODS[3];
  const number = Math.max(1, Math.round(seconds / length));
  return unit === 'year' && number > MAX_YEARS ? `more than ${count(MAX_YEARS)} years` : plural(number, unit);
}

/** One unit, "just now" within five seconds. */
export function ago(moment: number, now: number): string {
  const seconds = Math.floor((now - moment) / 1000);
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${count(Math.floor(seconds / 86_400))} d ago`;
}

/** Local time with its offset from UTC: "2026-02-10 13:00:00 UTC+1". */
export function absolute(moment: number): string {
  const date = new Date(moment);
  const two = (value: number) => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const hours = Math.trunc(Math.abs(offset) / 60);
  const rest = Math.abs(offset) % 60;
  const zone = offset === 0 ? 'UTC' : `UTC${offset < 0 ? '−' : '+'}${hours}${rest ? `:${two(rest)}` : ''}`;
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`
  );
}

/** "13:05", preceded by the day when that is not the day of `now`: "26 Nov 13:05". */
export function shortMoment(moment: number, now: number): string {
  const text = absolute(moment);
  const time = text.slice(11, 16);
  return text.slice(0, 10) === absolute(now).slice(0, 10) ? time : `${day(moment)} ${time}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** "26 Nov" */
export function day(moment: number): string {
  const date = new Date(moment);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

export function deviation(score: number): string {
  return `${tenths.format(score)} σ`;
}

/** Parses a timestamp of the API into milliseconds since 1970; null if it is missing or invalid. */
export function moment(text: string | null | undefined): number | null {
  if (!text) return null;
  const value = Date.parse(text);
  return Number.isNaN(value) ? null : value;
}
