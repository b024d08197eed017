import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { poll } from '../src/data/polling.ts';

const INTERVAL = 15_000;
const MIN_INTERVAL = 1000;
const WORK = 400;

let visible = true;
let started: number[] = [];

function start() {
  const begin = Date.now();
  const request = async () => {
    started.push(Date.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, WORK));
  };
  return poll(request, () => visible, INTERVAL, MIN_INTERVAL);
}

beforeEach(() => {
  vi.useFakeTimers();
  visible = true;
  started = [];
});
afterEach(() => vi.useRealTimers());

test('requests immediately, then an interval after each response', async () => {
  start();
  await vi.advanceTimersByTimeAsync(2 * (INTERVAL + WORK));
  expect(started).toEqual([0, INTERVAL + WORK, 2 * (INTERVAL + WORK)]);
});

test('a refresh during a request causes another request after it', async () => {
  const polling = start();
  await vi.advanceTimersByTimeAsync(WORK / 2);
  polling.refresh();
  await vi.advanceTimersByTimeAsync(5000);
  expect(started).toEqual([0, MIN_INTERVAL]);
});

test('many refreshes are merged and respect the minimum interval', async () => {
  const polling = start();
  for (let time = 0; time < 3000; time += 100) {
    polling.refresh();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(started).toEqual([0, MIN_INTERVAL, 2 * MIN_INTERVAL, 3 * MIN_INTERVAL]);
});

test('a hidden page sends no requests, and one when it becomes visible', async () => {
  visible = false;
  const polling = start();
  polling.refresh();
  await vi.advanceTimersByTimeAsync(3 * INTERVAL);
  expect(started).toEqual([]);
  visible = true;
  polling.onVisibilityChange();
  polling.onVisibilityChange();
  expect(started).toEqual([3 * INTERVAL]);
});

test('no request is sent after stop, even if one was due', async () => {
  const polling = start();
  polling.refresh();
  polling.stop();
  await vi.advanceTimersByTimeAsync(2 * INTERVAL);
  expect(started).toEqual([0]);
});
