"""``session-buddy backtest``: reports the alerts and anomalies that would have been detected in recorded history."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from session_buddy import _native
from session_buddy._alert_text import change, label, span
from session_buddy.anomaly import Alert, BacktestResult, Episode, backtest
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_db_path, duration, fail, timestamp
from session_buddy.cli._table import print_table
from session_buddy.storage import StorageError

__all__ = ["add_arguments", "run"]

_ALERT_HEADINGS = (
    "skill", "alert", "detected (UTC)", "changed (UTC)", "ended (UTC)", "before → after", "by chance once in"
)  # fmt: skip
_HEADINGS = ("skill", "type", "started (UTC)", "ended (UTC)", "lasted", "baseline → observed", "score")
_RIGHT = (4, 6)  # right-aligned columns of deviations
# Argument → option whose value is the default.
_SETTINGS = {
    "threshold": "anomaly_threshold",
    "baseline_window": "baseline_window",
    "observation_window": "observation_window",
    "min_samples": "anomaly_min_samples",
}
_DURATIONS = "3600 (seconds), 90m, 24h or 7d"
_TIMESTAMPS = "2026-02-10 or 2026-02-10T12:00:00Z"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Runs the recorded invocations, in chronological order, through the server's detectors and prints which alerts "
        "it would have reported, and how many anomalies (deviations). What was recorded before --from is replayed as a "
        "warm-up: the baseline window, and 14 days for alerts; what began in it and was still open at --from is "
        "listed, marked with *. The database is opened read-only."
    )
    parser.epilog = (
        "The last five options default to the server's settings. Exit status: 0 done, 1 the database cannot be "
        "read or has no invocation of the skill, 2 wrong usage, 130 interrupted."
    )
    add_db_path(parser)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="TIMESTAMP",
        type=timestamp(_TIMESTAMPS),
        help="start, ISO 8601, UTC without an offset (default: the first invocation)",
    )
    parser.add_argument("--to", dest="end", metavar="TIMESTAMP", type=timestamp(_TIMESTAMPS), help="end (default: now)")
    parser.add_argument("--skill", metavar="NAME", help="only this skill")
    parser.add_argument("--deviations", action="store_true", help="list the anomalies (deviations), too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--threshold",
        metavar="N",
        type=float,
        help="minimum deviation from the baseline, in standard deviations, 0.5 to 10",
    )
    parser.add_argument(
        "--baseline-window", metavar="TIME", type=duration(_DURATIONS), help="length of the baseline window, 10m to 31d"
    )
    parser.add_argument(
        "--observation-window",
        metavar="TIME",
        type=duration(_DURATIONS),
        help="length of the observation window, 1m to 24h",
    )
    parser.add_argument("--min-samples", metavar="N", type=int, help="minimum invocations in each window, 2 to 50")
    parser.add_argument(
        "--alert-budget",
        metavar="RATE",
        action="append",
        help="expected false alerts while nothing changes, such as 1/week, 0.5/day or off; of several, separated by "
        "commas or given again, the alerts of the first are listed and those of the others counted",
    )


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 done, 1 the database cannot be read or has no invocation of the skill, 2 an invalid value."""
    began = time.perf_counter()
    try:
        configured = _native.configured_settings()
        settings: dict[str, Any] = {name: configured[option] for name, option in _SETTINGS.items()}
        settings.update({name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None})
        db_path = _native.resolve_db_path(arguments.db_path)
        budgets = ",".join(arguments.alert_budget or [str(configured["alert_budget"])]).split(",")
        budgets = [budget.strip() for budget in budgets]
        result = backtest(
            db_path, arguments.start, arguments.end, skill=arguments.skill, **settings, alert_budget=budgets
        )
    except (StorageError, ValueError) as error:
        return fail("backtest", f"error: {error}", 1 if isinstance(error, StorageError) else 2)
    elapsed = time.perf_counter() - began
    if arguments.skill is not None and result.rows + result.warm_up_rows == 0:
        message = f"no invocation of skill '{arguments.skill}' in this time range in {db_path}"
        return fail("backtest", escape_controls(f"error: {message}"))
    if arguments.json:
        print(escape_controls(json.dumps(_to_json(result, db_path, settings, elapsed), indent=2, ensure_ascii=False)))
        return 0
    if result.alerts:
        print_table(_ALERT_HEADINGS, [_alert_cells(alert, result) for alert in result.alerts])
        print()
    if arguments.deviations and result.episodes:
        print_table(_HEADINGS, [_cells(episode, result) for episode in result.episodes], _RIGHT)
        print()
    if len(result.alerts_by_budget) > 1:
        counts = [(budget, f"{count:,}") for budget, count in result.alerts_by_budget.items()]
        print_table(("alert budget", "alerts"), counts, right=(1,))
        print()
    print(_summary(result, elapsed))
    return 0


def _to_json(result: BacktestResult, db_path: str, settings: dict[str, Any], elapsed: float) -> dict[str, object]:
    fields = asdict(result)
    return {
        "db_path": db_path,
        "from": None if result.start is None else _text(result.start),
        "to": _text(result.end),
        "settings": {**settings, "alert_budget": next(iter(result.alerts_by_budget))},
        **{name: fields[name] for name in ("rows", "warm_up_rows", "skipped_rows", "skills")},
        "elapsed_seconds": round(elapsed, 3),
        "alerts": [
            {**alert.to_dict(), "detected_before_from": _is_from_before(alert.detected_at, result)}
            for alert in result.alerts
        ],
        "alerts_by_budget": result.alerts_by_budget,
        "episodes": [
            {
                **episode.to_dict(),
                "lasted_seconds": _lasted(episode, result).total_seconds(),
                "started_before_from": _is_from_before(episode.started_at, result),
            }
            for episode in result.episodes
        ],
    }


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _lasted(episode: Episode, result: BacktestResult) -> timedelta:
    return (episode.resolved_at or result.end) - episode.started_at


def _is_from_before(began: datetime, result: BacktestResult) -> bool:
    return result.start is not None and began < result.start


def _alert_cells(alert: Alert, result: BacktestResult) -> tuple[str, ...]:
    mark = "*" if _is_from_before(alert.detected_at, result) else ""
    ended = "open" if alert.ended_at is None else f"{alert.ended_at:%Y-%m-%d %H:%M}, {alert.end}"
    return (
        alert.skill_name,
        label(alert.kind),
        f"{alert.detected_at:%Y-%m-%d %H:%M}{mark}",
        f"{alert.since:%Y-%m-%d %H:%M}",
        ended,
        change(alert),
        span(alert.once_in_seconds),
    )


def _cells(episode: Episode, result: BacktestResult) -> tuple[str, ...]:
    mark = "*" if _is_from_before(episode.started_at, result) else ""
    return (
        episode.skill_name,
        episode.anomaly_type,
        f"{episode.started_at:%Y-%m-%d %H:%M:%S}{mark}",
        "open" if episode.resolved_at is None else f"{episode.resolved_at:%Y-%m-%d %H:%M:%S}",
        _in_words(_lasted(episode, result)),
        f"{_value(episode, episode.baseline_value)} → {_value(episode, episode.observed_value)}",
        f"{episode.deviation_score:.2f}",
    )


def _value(episode: Episode, value: float) -> str:
    return f"{value:.3g} s" if episode.anomaly_type == "pattern_shift" else f"{value * 100:.1f} %"


def _in_words(time_span: timedelta) -> str:
    minutes, seconds = divmod(round(time_span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {seconds:02} s" if minutes else f"{seconds} s"


def _summary(result: BacktestResult, elapsed: float) -> str:
    warm_up = f" after {result.warm_up_rows:,} of warm-up" if result.warm_up_rows else ""
    still_open = sum(episode.resolved_at is None for episode in result.episodes)
    return (
        f"{_count(result.rows, 'invocation')}{warm_up} of {_count(result.skills, 'skill')}, "
        f"{_count(result.skipped_rows, 'row')} skipped: {_count(len(result.alerts), 'alert')}, "
        f"{_open(sum(alert.ended_at is None for alert in result.alerts))}; "
        f"{_count(len(result.episodes), 'deviation')}, {_open(still_open)}. Took {elapsed:.1f} s."
    )


def _open(number: int) -> str:
    return f"{number:,} open at the end"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
