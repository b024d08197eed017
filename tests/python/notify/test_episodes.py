"""Episodes of the notifier, with a fake clock: when a start or an end is sent."""

from __future__ import annotations

from datetime import timedelta

from session_buddy.notify.episodes import Event, Tracker
from support.notifier import START, update


def summary(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.event, event.skill) for event in events]


def test_an_end_is_sent_after_it_settled_with_the_time_at_which_it_began() -> None:
    tracker = Tracker(settle=10)
    assert summary(tracker.process(update(0, "a", "b"))) == [("started", "a"), ("started", "b")]
    assert tracker.process(update(1, "a", "b")) == []
    assert tracker.process(update(2, "b")) == []
    assert tracker.process(update(11.9, "b")) == []
    (end,) = tracker.process(update(12, "b"))
    assert (end.event, end.skill, end.timestamp) == ("resolved", "a", "2026-02-10T12:00:02Z")
    assert tracker.process(update(30, "b")) == []


def test_a_flapping_anomaly_is_one_episode() -> None:
    tracker = Tracker(settle=10)
    tracker.process(update(0, "a"))
    for second in range(1, 100):
        assert tracker.process(update(second, *(["a"] if second % 9 == 0 else []))) == []


def test_an_end_needs_two_updates_however_far_apart() -> None:
    for settle in (0, 10):
        tracker = Tracker(settle=settle)
        tracker.process(update(0, "a"))
        assert tracker.process(update(3600)) == []
        assert summary(tracker.process(update(7200))) == [("resolved", "a")]


def test_a_lost_connection_restarts_settling() -> None:
    tracker = Tracker(settle=10)
    tracker.process(update(0, "a"))
    tracker.process(update(1))
    tracker.connection_lost()
    assert tracker.process(update(100)) == []
    assert summary(tracker.process(update(110))) == [("resolved", "a")]


def test_an_episode_that_began_while_disconnected_is_a_new_one() -> None:
    tracker = Tracker(settle=10)
    (first,) = tracker.process(update(0, "a"))
    tracker.connection_lost()
    later = START + timedelta(hours=2)
    end, start = tracker.process(update(7300, "a", since=later))
    assert (end.event, end.since) == ("resolved", first.since)
    assert (start.event, start.since) == ("started", "2026-02-10T14:00:00Z")
    assert tracker.process(update(7301, "a", since=later + timedelta(seconds=5))) == []  # without a gap it is the same


def test_a_clock_that_is_set_back_does_not_delay_an_end() -> None:
    tracker = Tracker(settle=10)
    tracker.process(update(10_000, "a"))
    tracker.process(update(10_001))
    assert tracker.process(update(1)) == []
    assert summary(tracker.process(update(11))) == [("resolved", "a")]


def test_the_minimum_deviation_applies_to_starts_only() -> None:
    tracker = Tracker(settle=0, min_deviation=3)
    assert tracker.process(update(0, "a", deviation=2.9)) == []
    assert summary(tracker.process(update(1, "a", deviation=3.0))) == [("started", "a")]
    for second in (2, 3, 4):
        assert tracker.process(update(second, "a", deviation=2.1)) == []


def test_episodes_of_skills_no_longer_selected_are_forgotten() -> None:
    before = Tracker(settle=0)
    before.process(update(0, "a", "b"))
    after = Tracker(settle=0, skills=["b"])
    after.restore(before.episodes.values())
    after.process(update(1))
    assert summary(after.process(update(2))) == [("resolved", "b")]
