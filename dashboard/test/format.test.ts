import { describe, expect, test } from 'vitest';
import { absolute, ago, count, duration, moment, percent, plural, shortMoment, span } from '../src/format.ts';

describe('percent', () => {
  test.each([
    [0, '0 %'],
    [1, '100 %'],
    [0.905, '90.5 %'],
    [0.99996, '99.9 %'],
    [0.00001, '0.1 %'],
    [null, '–'],
  ])('%s is %s', (rate, text) => expect(percent(rate)).toBe(text));
});

describe('duration', () => {
  test.each([
    [0, '0 s'],
    [0.00004, '0.1 ms'],
    [0.0042, '4.2 ms'],
    [0.0479, '48 ms'],
    [0.9994, '999 ms'],
    [0.99951, '1.0 s'],
    [5.24, '5.2 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min'],
    [125, '2 min 5 s'],
    [3599.7, '1 h'],
    [5400, '1 h 30 min'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('%s s is %s', (seconds, text) => expect(duration(seconds)).toBe(text));
});

describe('span', () => {
  test.each([
    [-3, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [3600, '1 h'],
    [12_000, '3 h 20 min'],
    [86_400, '24 h'],
    [180_000, '2 d 2 h'],
    [900_000, '10 d'],
  ])('%s s is %s', (seconds, text) => expect(span(seconds)).toBe(text));
});

test('ago has one unit, and "just now" for times in the future', () => {
  const now = Date.UTC(2026, 1, 10, 12);
  expect(ago(now + 30_000, now)).toBe('just now');
  expect(ago(now - 4000, now)).toBe('just now');
  expect(ago(now - 59_999, now)).toBe('59 s ago');
  expect(ago(now - 60_000, now)).toBe('1 min ago');
  expect(ago(now - 86_399_000, now)).toBe('23 h ago');
  expect(ago(now - 41 * 86_400_000, now)).toBe('41 d ago');
});

test('an absolute time has its zone, and a short time has the day if it is another day', () => {
  const at = Date.UTC(2026, 1, 10, 12, 0, 5);
  // The time zone is set in vitest.config.mjs.
  expect(absolute(at)).toBe('2026-02-10 17:30:05 UTC+5:30');
  expect(shortMoment(at, at + 3_600_000)).toBe('17:30');
  expect(shortMoment(at, at + 86_400_000)).toBe('10 Feb 17:30');
});

test('counts with singular and plural nouns', () => {
  expect(count(1_234_567)).toBe('1,234,567');
  expect(plural(1, 'invocation')).toBe('1 invocation');
  expect(plural(0, 'invocation')).toBe('0 invocations');
});

test('an invalid time is null', () => {
  expect(moment('2026-02-10T12:00:00Z')).toBe(Date.UTC(2026, 1, 10, 12));
  expect(moment('yesterday')).toBeNull();
  expect(moment(null)).toBeNull();
});
