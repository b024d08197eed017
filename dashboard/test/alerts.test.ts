// Alerts: what they say, what causes a notice, what is announced; and the deviations next to them.
import type { Alert, Anomaly } from 'session-buddy-client';
import { describe, expect, test } from 'vitest';
import { type AlertEvent, AlertTracker } from '../src/alert-tracker.ts';
import {
  alertKey,
  chanceText,
  intervalText,
  isActive,
  kindOfAlert,
  levelTexts,
  sessionsText,
  sinceText,
  stateText,
} from '../src/alerts.ts';
import { CORRECTED_FOR, ConfirmedChanges } from '../src/confirmed-changes.ts';
import { deviationsBySkill, deviationText, kindOf } from '../src/deviations.ts';
import { period, shortMoment } from '../src/format.ts';
import { marksOf } from '../src/marks.ts';
import { addNotices, announcement, NO_NOTICES, noticeText, removeNotice } from '../src/notices.ts';

const AT = '2026-02-10T12:00:00Z';
const LATER = '2026-02-10T15:00:00Z';

function alert(skill_name: string, changed: Partial<Alert> = {}): Alert {
  return {
    id: 1,
    skill_name,
    kind: 'completion_rate_fell',
    detected_at: AT,
    since: AT,
    since_low: AT,
    since_high: AT,
    before: { value: 0.98, low: 0.971, high: 0.989, samples: 812 },
    after: { value: 0.61, low: 0.44, high: 0.76, samples: 31 },
    once_in_seconds: 40 * 7 * 86_400,
    failures_in_a_row: 0,
    errors: [],
    session_id: null,
    session_share: 0,
    sessions: 0,
    ended_at: null,
    end: null,
    acknowledged_at: null,
    note: '',
    muted: false,
    ...changed,
  };
}

const IMPROVEMENT = { kind: 'duration_fell', ended_at: AT, end: 'accepted' } as const;
const RECOVERED = { ended_at: LATER, end: 'recovered' } as const;

describe('an alert', () => {
  test.each<[string, Partial<Alert>, boolean, string]>([
    ['open', {}, true, 'ongoing'],
    ['acknowledged', { acknowledged_at: AT }, false, 'acknowledged'],
    ['muted', { muted: true }, false, 'muted'],
    ['recovered', RECOVERED, false, 'recovered after 3 h'],
    ['accepted', { ended_at: LATER, end: 'accepted' }, false, 'new baseline after 3 h'],
    ['an improvement', IMPROVEMENT, false, 'improvement'],
    ['an improvement that has not ended', { kind: 'completion_rate_rose' }, false, 'improvement'],
  ])('that is %s', (_, changed, active, state) => {
    expect(isActive(alert('a', changed))).toBe(active);
    expect(stateText(alert('a', changed))).toBe(state);
  });

  test('keeps its key when it is stored', () => {
    expect(alertKey(alert('a', { id: null }))).toBe(alertKey(alert('a', { id: 7 })));
  });

  test('of a completion rate has rates with intervals', () => {
    const rate = alert('a');
    expect(levelTexts(rate)).toEqual(['98.0 %', '61.0 %']);
    expect(intervalText(rate, rate.before)).toBe('between 97.1 and 98.9 %, n\u00a0=\u00a0812');
  });
  test('of a duration has durations with intervals', () => {
    const level = { value: 5, low: 4.9, high: 65, samples: 1200 };
    const slower = alert('a', { kind: 'duration_rose', before: level, after: { ...level, value: 90 } });
    expect(levelTexts(slower)).toEqual(['5.0 s', '1 min 30 s']);
    expect(intervalText(slower, level)).toBe('between 4.9 s and 1 min 5 s, n\u00a0=\u00a01,200');
  });
  test('of silence has pauses without intervals', () => {
    const pause = (value: number) => ({ value, low: value, high: value, samples: 0 });
    const silent = alert('a', { kind: 'silence', before: pause(21_600), after: pause(180_000) });
    expect(levelTexts(silent)).toEqual(['6 h', '2 d 2 h']);
    expect(intervalText(silent, silent.before)).toBe('');
  });
  test('of a kind that the page does not know is shown, too', () => {
    const unknown = alert('a', { kind: 'cost_rose' as Alert['kind'] });
    expect(kindOfAlert(unknown).icon).toBe('other');
    expect(levelTexts(unknown)).toEqual(['0.98', '0.61']);
  });

  test('says since when, with the interval of that time', () => {
    const now = Date.parse(LATER);
    const at = (time: string) => shortMoment(Date.parse(`2026-02-10T${time}:00Z`), now);
    expect(sinceText(alert('a'), now)).toBe(`Since ${at('12:00')}`);
    const uncertain = alert('a', { since_low: '2026-02-10T11:40:00Z', since_high: '2026-02-10T12:05:00Z' });
    expect(sinceText(uncertain, now)).toBe(`Since ${at('12:00')}, likely between ${at('11:40')} and ${at('12:05')}`);
  });
  test('says how often it occurs by chance', () => {
    expect(chanceText(alert('a'))).toBe('by chance once in 40 weeks');
    expect(chanceText(alert('a', { once_in_seconds: 0 }))).toBe('');
  });
  test.each([
    [0, ''],
    [1, '1 session'],
    [4, '4 sessions'],
    [8, '8 or more sessions'],
  ])('of %s sessions', (sessions, text) => expect(sessionsText(alert('a', { sessions }))).toBe(text));
});

test.each([
  [1, '1 hour'],
  [90_000, '25 hours'],
  [3 * 86_400, '3 days'],
  [40.4 * 604_800, '40 weeks'],
  [3e9, '95 years'],
  [1e15, 'more than 1,000 years'],
])('a period of %s s is %j', (seconds, text) => expect(period(seconds)).toBe(text));

describe('the alert tracker', () => {
  const kinds = (events: AlertEvent[]) => events.map((event) => event.kind);

  test('causes no event for the first update', () => {
    expect(new AlertTracker().observe([alert('a'), alert('b', IMPROVEMENT)], 0)).toEqual([]);
  });
  test('causes one event for a start and one for an end, however many updates contain the alert', () => {
    const tracker = new AlertTracker();
    tracker.observe([], 0);
    expect(tracker.observe([alert('a', { id: null })], 1000)).toMatchObject([{ kind: 'started', at: 1000 }]);
    expect(tracker.observe([alert('a')], 2000)).toEqual([]);
    expect(tracker.observe([alert('a', RECOVERED)], 3000)).toMatchObject([{ kind: 'ended', at: 3000 }]);
    expect(tracker.observe([alert('a', RECOVERED)], 4000)).toEqual([]);
    expect(tracker.observe([], 5000)).toEqual([]);
  });
  test('causes one event for an improvement', () => {
    const tracker = new AlertTracker();
    tracker.observe([], 0);
    expect(kinds(tracker.observe([alert('a', IMPROVEMENT)], 1000))).toEqual(['improved']);
    expect(tracker.observe([alert('a', IMPROVEMENT)], 2000)).toEqual([]);
  });
  test('separates two alerts of one skill', () => {
    const tracker = new AlertTracker();
    tracker.observe([alert('a')], 0);
    expect(kinds(tracker.observe([alert('a'), alert('a', { kind: 'duration_rose' })], 1000))).toEqual(['started']);
  });
  test.each([
    ['acknowledged', { acknowledged_at: AT }],
    ['muted', { muted: true }],
  ])('causes no event for an alert that is %s, nor for its end', (_, changed) => {
    const tracker = new AlertTracker();
    tracker.observe([], 0);
    expect(tracker.observe([alert('a', changed)], 1000)).toEqual([]);
    expect(tracker.observe([alert('a', { ...changed, ...RECOVERED })], 2000)).toEqual([]);
  });
  test('causes an event when the mute of an open alert ends', () => {
    const tracker = new AlertTracker();
    tracker.observe([alert('a', { muted: true })], 0);
    expect(kinds(tracker.observe([alert('a')], 1000))).toEqual(['started']);
  });
});

test('an update without a change that was just confirmed is corrected for a time', () => {
  const changes = new ConfirmedChanges();
  changes.add((each) => (each.skill_name === 'a' ? { ...each, muted: true } : each), 1000);
  const muted = (now: number) => changes.apply([alert('a'), alert('b')], now).map((each) => each.muted);
  expect(muted(1000 + CORRECTED_FOR - 1)).toEqual([true, false]);
  expect(muted(1000 + CORRECTED_FOR)).toEqual([false, false]);
});

describe('many simultaneous changes', () => {
  const twelve = Array.from({ length: 12 }, (_, index): AlertEvent => {
    const state = index < 2 ? RECOVERED : {};
    return {
      id: index + 1,
      kind: index < 2 ? 'ended' : 'started',
      alert: alert(`skill-${index}`, { once_in_seconds: 1e6 * index, ...state }),
      at: 1000,
    };
  });

  test('are shown and announced as the three least probable that started, and a count', () => {
    const { shown, more } = addNotices(NO_NOTICES, twelve);
    expect(shown.map((event) => event.alert.skill_name)).toEqual(['skill-11', 'skill-10', 'skill-9']);
    expect(more).toBe(9);
    expect(announcement(twelve)).toMatch(
      /^Alert in skill-11: .* Alert in skill-10: .*skill-9: .* And 9 more changes\.$/,
    );
  });

  test('are not queued behind the shown ones', () => {
    let notices = addNotices(NO_NOTICES, twelve);
    notices = removeNotice(notices, 12);
    expect([notices.shown.length, notices.more]).toEqual([2, 9]);
    for (const id of [11, 10]) notices = removeNotice(notices, id);
    expect(notices).toEqual(NO_NOTICES);
  });

  test('keep the newest', () => {
    const later: AlertEvent = { id: 13, kind: 'ended', alert: alert('later', RECOVERED), at: 2000 };
    const { shown, more } = addNotices(addNotices(NO_NOTICES, twelve), [later]);
    expect(shown.map((event) => event.alert.skill_name)).toEqual(['later', 'skill-11', 'skill-10']);
    expect(more).toBe(10);
  });
});

test.each<[AlertEvent['kind'], Partial<Alert>, string, string]>([
  ['started', {}, 'Success rate fell: 98.0 % → 61.0 %', 'Alert in a: success rate fell, from 98.0 % to 61.0 %.'],
  ['ended', RECOVERED, 'Back to normal', 'a is back to normal; it was: success rate fell.'],
  [
    'ended',
    { ended_at: LATER, end: 'accepted' },
    'New baseline: 61.0 %',
    'a has a new baseline, 61.0 %; it was: success rate fell.',
  ],
  [
    'improved',
    { kind: 'completion_rate_rose', end: 'accepted' },
    'Success rate rose: 98.0 % → 61.0 %',
    'Improvement in a: success rate rose, from 98.0 % to 61.0 %.',
  ],
])('the notice of an alert that %s with %j', (kind, changed, text, sentence) => {
  const event: AlertEvent = { id: 1, kind, alert: alert('a', changed), at: 0 };
  expect(noticeText(event)).toBe(text);
  expect(announcement([event])).toBe(sentence);
});

describe('deviations', () => {
  const values = {
    anomaly_type: 'pattern_shift',
    baseline_value: 5,
    observed_value: 15,
    deviation_score: 3.3,
  } as const;
  test('have kinds, and values with units', () => {
    expect(kindOf(values)).toBe('slower');
    expect(kindOf({ ...values, observed_value: 1 })).toBe('faster');
    expect(kindOf({ ...values, anomaly_type: 'performance_spike' })).toBe('rise');
    expect(deviationText(values)).toBe('Slower than the baseline, 5.0 s → 15 s, 3.3 σ');
    expect(
      deviationText({ ...values, anomaly_type: 'performance_drop', baseline_value: 0.9, observed_value: 0.5 }),
    ).toBe('Success rate below the baseline, 90.0 % → 50.0 %, 3.3 σ');
  });
  test('are grouped by skill in their order', () => {
    const [a, b, c] = ['x', 'y', 'x'].map((skill_name): Anomaly => ({ ...values, skill_name })) as [
      Anomaly,
      Anomaly,
      Anomaly,
    ];
    expect(deviationsBySkill([a, b, c])).toEqual(
      new Map([
        ['x', [a, c]],
        ['y', [b]],
      ]),
    );
  });
});

test('charts mark alerts from the change to the end, and deviations quietly', () => {
  const deviation = {
    anomaly_type: 'pattern_shift',
    baseline_value: 5,
    observed_value: 15,
    deviation_score: 3,
  } as const;
  const episode = { id: 1, skill_name: 'a', ...deviation, detected_at: AT, resolved_at: LATER, details: null };
  expect(marksOf([alert('a', { detected_at: LATER })], [episode])).toEqual([
    { kind: 'slower', label: 'deviation', isAlert: false, from: Date.parse(AT), to: Date.parse(LATER) },
    { kind: 'drop', label: 'success rate fell', isAlert: true, from: Date.parse(AT), to: Number.POSITIVE_INFINITY },
  ]);
});
