import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { poll } from '../src/data/polling.ts';

const INTERVAL = 15_000;
const MIN_INTERVAL = 1000;
const WORK = 400;

let visible = true;
let asked: number[] = [];

function start() {
  const begin = Date.now();
  const ask = async () => {
    asked.push(Date.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, WORK));
  };
  return poll(ask, () => visible, INTERVAL, MIN_INTERVAL);
}

beforeEach(() => {
  vi.useFakeTimers();
  visible = true;
  asked = [];
});
afterEach(() => vi.useRealTimers());

test('asks at once, then an interval after each answer', async () => {
  start();
  await vi.advanceTimersByTimeAsync(2 * (INTERVAL + WORK));
  expect(asked).toEqual([0, INTERVAL + WORK, 2 * (INTERVAL + WORK)]);
});

test('a refresh during a question is made up for after it', async () => {
  const polling = start();
  await vi.advanceTimersByTimeAsync(WORK / 2);
  polling.refresh();
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toEqual([0, MIN_INTERVAL]);
});

test('many refreshes are one, and no sooner than allowed', async () => {
  const polling = start();
  for (let time = 0; time < 3000; time += 100) {
    polling.refresh();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(asked).toEqual([0, MIN_INTERVAL, 2 * MIN_INTERVAL, 3 * MIN_INTERVAL]);
});

test('what cannot be seen does not ask, and makes up for it when it can', async () => {
  visible = false;
  const polling = start();
  polling.refresh();
  await vi.advanceTimersByTimeAsync(3 * INTERVAL);
  expect(asked).toEqual([]);
  visible = true;
  polling.onVisibilityChange();
  polling.onVisibilityChange();
  expect(asked).toEqual([3 * INTERVAL]);
});

test('nothing is asked after the end, not even what was due', async () => {
  const polling = start();
  polling.refresh();
  polling.stop();
  await vi.advanceTimersByTimeAsync(2 * INTERVAL);
  expect(asked).toEqual([0]);
});
