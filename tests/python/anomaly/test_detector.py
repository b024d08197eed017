"""`session_buddy.anomaly.Detector` on streams with a known result."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from session_buddy.anomaly import Anomaly, Detector
from support.streams import NOON, Invocation, feed, hours, steady

BASELINE = (NOON - hours(20), NOON - hours(1.1))
OBSERVATION = (NOON - hours(0.9), NOON)


def test_a_drop_from_85_to_62_percent() -> None:
    runs = [*steady(*BASELINE, 100, rate=0.85), *steady(*OBSERVATION, 13, rate=0.62, error_type="timeout")]
    (drop,) = feed(Detector(), runs)
    assert (drop.skill_name, drop.anomaly_type) == ("pytest-run", "performance_drop")
    assert drop.baseline_value == pytest.approx(0.85, abs=0.01)
    assert drop.observed_value == pytest.approx(8 / 13)
    # The baseline ends where the episode begins; at that time its last hour was still in the observation window.
    assert 95 <= drop.baseline_samples < 100
    assert drop.observed_samples == 13
    assert drop.deviation_score == pytest.approx(2.3, abs=0.2)
    assert drop.z_score == -drop.deviation_score
    assert 0 < drop.tail_probability < 0.1
    assert drop.common_errors == [("timeout", 5)]
    assert OBSERVATION[0] < drop.since <= NOON
    assert drop.since.utcoffset() == timedelta(0)


def test_a_rise_from_80_to_95_percent() -> None:
    runs = [*steady(*BASELINE, 400, rate=0.8), *steady(*OBSERVATION, 40, rate=0.95)]
    (spike,) = feed(Detector(), runs)
    assert spike.anomaly_type == "performance_spike"
    assert (spike.baseline_value, spike.observed_value) == (pytest.approx(0.8, abs=0.01), pytest.approx(0.95))
    assert spike.z_score == spike.deviation_score >= 2.0
    assert spike.common_errors == []


def test_durations_from_5_to_15_seconds() -> None:
    runs = [
        *steady(*BASELINE, 100, durations=(4.0, 5.0, 6.0, 5.0)),
        *steady(*OBSERVATION, 10, durations=(14.0, 16.0)),
    ]
    (shift,) = feed(Detector(), runs)
    assert shift.anomaly_type == "pattern_shift"
    assert (shift.baseline_value, shift.observed_value) == (pytest.approx(5.0), pytest.approx(15.0))
    assert math.isfinite(shift.deviation_score)


def test_an_unchanged_skill_is_not_reported() -> None:
    detector = Detector()
    runs = [*steady(NOON - hours(23), NOON, 300, rate=0.85, durations=(4.0, 5.0, 6.0))]
    assert feed(detector, runs) == []
    assert detector.anomalies() == []
    assert detector.episodes() == []


def within_a_second(good: int, failed: int) -> list[Invocation]:
    step = timedelta(milliseconds=100)
    return [Invocation(NOON + index * step, index < good) for index in range(good + failed)]


def test_five_good_and_five_failed_within_a_second() -> None:
    (drop,) = feed(Detector(), within_a_second(5, 5))
    assert (drop.baseline_value, drop.observed_value, drop.observed_samples) == (1.0, 0.0, 5)


def test_five_good_and_three_failed_are_too_few() -> None:
    assert feed(Detector(), within_a_second(5, 3)) == []


def test_update_reports_its_own_skill_and_anomalies_all() -> None:
    detector = Detector()
    feed(detector, within_a_second(5, 5))
    assert detector.update("ruff-check", True, at=NOON + timedelta(seconds=2)) == []
    assert [anomaly.skill_name for anomaly in detector.anomalies()] == ["pytest-run"]
    (again,) = detector.update("pytest-run", False, at=NOON + timedelta(seconds=3))
    assert again.since == detector.episodes()[0].started_at


def test_largest_score_first() -> None:
    detector = Detector()
    feed(detector, steady(*BASELINE, 100, rate=0.85, skill="mild"))
    feed(detector, steady(*BASELINE, 100, rate=1.0, skill="strong"))
    feed(detector, steady(*OBSERVATION, 13, rate=0.62, skill="mild"))
    feed(detector, steady(*OBSERVATION, 13, rate=0.0, skill="strong"))
    assert [anomaly.skill_name for anomaly in detector.anomalies()] == ["strong", "mild"]


def test_an_idle_skill_is_not_reported_but_its_episode_stays_open() -> None:
    detector = Detector()
    feed(detector, within_a_second(5, 5))
    assert detector.anomalies(NOON + hours(0.9))
    assert detector.anomalies(NOON + hours(1.1)) == []
    assert [episode.resolved_at for episode in detector.episodes()] == [None]


def test_an_episode_ends() -> None:
    detector = Detector()
    feed(detector, [*steady(*BASELINE, 100), *steady(*OBSERVATION, 10, rate=0.0)])
    feed(detector, steady(NOON + hours(1.5), NOON + hours(3), 60))
    (drop, *_) = detector.episodes()
    assert (drop.skill_name, drop.anomaly_type) == ("pytest-run", "performance_drop")
    assert drop.resolved_at is not None
    assert NOON - hours(0.9) <= drop.started_at < NOON < drop.resolved_at < NOON + hours(3)
    assert drop.deviation_score == abs(drop.z_score) >= 2.0
    assert detector.anomalies() == []


def test_time_never_goes_back() -> None:
    detector = Detector()
    feed(detector, within_a_second(5, 5))
    reported = detector.anomalies()
    detector.advance(NOON - hours(5))
    assert detector.anomalies(NOON - hours(5)) == reported
    # A late one that is older than the baseline window changes nothing.
    assert detector.update("pytest-run", True, at=NOON - hours(30)) == reported


def test_a_late_invocation_is_sorted_by_its_time() -> None:
    runs = [*steady(*BASELINE, 100), *steady(*OBSERVATION, 13, rate=0.5)]
    late = runs.pop(40)
    sorted_input, with_late = Detector(), Detector()
    feed(sorted_input, sorted([*runs, late], key=lambda run: run.at))
    feed(with_late, [*runs, late])
    (one,), (other,) = sorted_input.anomalies(), with_late.anomalies()
    assert one.observed_samples == other.observed_samples
    assert one.observed_value == other.observed_value


@pytest.mark.parametrize(
    "form",
    [
        lambda at: at,
        lambda at: at.replace(tzinfo=None),
        lambda at: at.astimezone(timezone(timedelta(hours=-7))),
        lambda at: at.isoformat(),
        lambda at: at.isoformat().replace("+00:00", ""),
        lambda at: at.timestamp(),
    ],
)
def test_every_time_format(form: Callable[[datetime], Any]) -> None:
    detector = Detector()
    for run in within_a_second(5, 5):
        detector.update(run.skill, run.completed, at=form(run.at))
    (episode,) = detector.episodes()
    assert episode.started_at == NOON + timedelta(milliseconds=900)


def test_now_is_the_default() -> None:
    before = datetime.now(timezone.utc)
    detector = Detector()
    for index in range(10):
        detector.update("pytest-run", index < 5)
    assert before <= detector.episodes()[0].started_at <= datetime.now(timezone.utc)


def test_the_options_matter() -> None:
    runs = [*steady(*BASELINE, 100, rate=0.85), *steady(*OBSERVATION, 13, rate=0.62)]
    assert feed(Detector(threshold=2.0), runs)
    assert feed(Detector(threshold=3.5), runs) == []
    broken = [*steady(*BASELINE, 100), *steady(*OBSERVATION, 13, rate=0.0)]
    assert feed(Detector(), broken)[0].observed_samples == 13
    assert feed(Detector(min_samples=20), broken)[0].observed_samples == 20
    assert feed(Detector(observation_window=1800), broken)[0].observed_samples == 7
    assert feed(Detector(min_samples=3), within_a_second(5, 3))


def test_to_dict_is_the_wire_form_with_details() -> None:
    runs = [*steady(*BASELINE, 100), *steady(*OBSERVATION, 10, rate=0.0, error_type="timeout")]
    (drop,) = feed(Detector(), runs)
    fields = drop.to_dict()
    assert list(fields) == [
        "skill_name",
        "anomaly_type",
        "baseline_value",
        "observed_value",
        "deviation_score",
        "details",
    ]
    assert fields["details"]["since"] == drop.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert fields["details"]["common_errors"] == [{"error_type": "timeout", "count": 10}]


def test_an_endless_stream_keeps_the_last_10000_episodes() -> None:
    detector = Detector()
    for index in range(10_050):
        for index_in_episode in range(10):
            detector.update("pytest-run", index_in_episode < 5, at=172_800 * index + index_in_episode)
    episodes = detector.episodes()
    assert len(episodes) == 10_000
    assert episodes[0].started_at.timestamp() == 172_800 * 50 + 9
    assert episodes[-1].started_at.timestamp() == 172_800 * 10_049 + 9
    assert [episode.resolved_at is None for episode in episodes[-2:]] == [False, True]


def test_threads_may_share_a_detector() -> None:
    detector = Detector()

    def work(skill: str) -> None:
        for run in steady(*BASELINE, 500, skill=skill):
            detector.update(run.skill, run.completed, at=NOON)
        for _ in range(10):
            detector.update(skill, False, at=NOON)

    threads = [threading.Thread(target=work, args=(f"skill-{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {anomaly.skill_name for anomaly in detector.anomalies()} == {f"skill-{index}" for index in range(4)}


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"threshold": 0.4}, ValueError, "threshold"),
        ({"threshold": 10.5}, ValueError, "threshold"),
        ({"threshold": math.nan}, ValueError, "threshold"),
        ({"threshold": "2"}, TypeError, "threshold"),
        ({"threshold": True}, TypeError, "threshold"),
        ({"baseline_window": 10.0}, ValueError, "baseline_window"),
        ({"baseline_window": math.inf}, ValueError, "baseline_window"),
        ({"baseline_window": 7199.0}, ValueError, "baseline_window"),
        ({"baseline_window": None}, TypeError, "baseline_window"),
        ({"observation_window": 59.0}, ValueError, "observation_window"),
        ({"observation_window": 10**400}, ValueError, "observation_window"),
        ({"min_samples": 1}, ValueError, "min_samples"),
        ({"min_samples": 51}, ValueError, "min_samples"),
        ({"min_samples": 10**30}, ValueError, "min_samples"),
        ({"min_samples": 5.0}, TypeError, "min_samples"),
    ],
)
def test_bad_options(arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        Detector(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"skill": ""}, ValueError, "skill"),
        ({"skill": "a\nb"}, ValueError, "skill"),
        ({"skill": "a" * 257}, ValueError, "skill"),
        ({"skill": "\ud800"}, ValueError, "skill"),
        ({"skill": 5}, TypeError, "skill"),
        ({"completed": 1}, TypeError, "completed"),
        ({"completed": "yes"}, TypeError, "completed"),
        ({"duration": -0.1}, ValueError, "duration"),
        ({"duration": math.nan}, ValueError, "duration"),
        ({"duration": math.inf}, ValueError, "duration"),
        ({"duration": "5"}, TypeError, "duration"),
        ({"at": "yesterday"}, ValueError, "at"),
        ({"at": math.nan}, ValueError, "at"),
        ({"at": 1e300}, ValueError, "at"),
        ({"at": 10**400}, ValueError, "at"),
        ({"at": True}, TypeError, "at"),
        ({"at": b"2026-02-10"}, TypeError, "at"),
        ({"error_type": 5}, TypeError, "error_type"),
        ({"error_type": "\udfff"}, ValueError, "error_type"),
    ],
)
def test_bad_invocations_leave_the_detector_as_it_was(
    arguments: dict[str, Any], error: type[Exception], named: str
) -> None:
    detector = Detector()
    feed(detector, within_a_second(5, 4))
    with pytest.raises(error, match=f"^{named} must"):
        detector.update(**{"skill": "pytest-run", "completed": False, "at": NOON, **arguments})
    assert detector.episodes() == []
    assert feed(detector, within_a_second(0, 1)) != []


def test_the_limits_of_time() -> None:
    for at in ("0001-01-01", "9999-12-31T23:59:59.999999Z"):
        detector = Detector()
        reported: list[Anomaly] = []
        for index in range(10):
            reported = detector.update("pytest-run", index < 5, at=at)
        assert len(reported) == 1


def test_unknown_outcomes_and_durations_that_are_upper_bounds_change_nothing() -> None:
    runs = [*steady(*BASELINE, 100, rate=0.85, durations=(1.0,))]
    runs += steady(*OBSERVATION, 13, rate=0.62, durations=(1.0,))
    without = Detector()
    detector = Detector()
    for run in runs:
        without.update(run.skill, run.completed, run.duration, run.at)
        detector.update(run.skill, None, 900.0, run.at)
        detector.update(run.skill, run.completed, run.duration, run.at)
    assert detector.anomalies() == without.anomalies() != []
    assert detector.episodes() == without.episodes()

    waits = Detector()
    for run in [*steady(*BASELINE, 100, durations=(1.0, 1.2)), *steady(*OBSERVATION, 30, durations=(900.0,))]:
        waits.update(run.skill, run.completed, run.duration, run.at, duration_is_bound=run.duration == 900.0)
    assert waits.anomalies() == []
    with pytest.raises(TypeError, match="duration_is_bound must be a bool, not int"):
        waits.update("pytest-run", True, duration_is_bound=1)  # type: ignore[arg-type]
