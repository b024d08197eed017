"""``session-buddy backtest``: reports the anomalies that would have been detected in recorded history."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from session_buddy import _native
from session_buddy.anomaly import BacktestResult, Episode, backtest
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_db_path, duration, fail, timestamp
from session_buddy.storage import StorageError

__all__ = ["add_arguments", "run"]

_HEADINGS = ("skill", "type", "started (UTC)", "ended (UTC)", "lasted", "baseline → observed", "score")
_RIGHT = (4, 6)  # right-aligned columns
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
        "Runs the recorded invocations, in chronological order, through the server's anomaly detector and "
        "prints which anomalies it would have reported, when and for how long. The baseline window before --from is "
        "replayed as a warm-up; an anomaly that began in it and was still open at --from is listed, marked with *. The "
        "database is opened read-only."
    )
    parser.epilog = (
        "The last four options default to the server's settings. Exit status: 0 done, 1 the database cannot be "
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


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 done, 1 the database cannot be read or has no invocation of the skill, 2 an invalid value."""
    began = time.perf_counter()
    try:
        configured = _native.configured_settings()
        settings: dict[str, Any] = {name: configured[option] for name, option in _SETTINGS.items()}
        settings.update({name: getattr(arguments, name) for name in _SETTINGS if getattr(arguments, name) is not None})
        db_path = _native.resolve_db_path(arguments.db_path)
        result = backtest(db_path, arguments.start, arguments.end, skill=arguments.skill, **settings)
    except (StorageError, ValueError) as error:
        return fail("backtest", f"error: {error}", 1 if isinstance(error, StorageError) else 2)
    elapsed = time.perf_counter() - began
    if arguments.skill is not None and result.rows + result.warm_up_rows == 0:
        message = f"no invocation of skill '{arguments.skill}' in this time range in {db_path}"
        return fail("backtest", escape_controls(f"error: {message}"))
    if arguments.json:
        print(escape_controls(json.dumps(_to_json(result, db_path, settings, elapsed), indent=2, ensure_ascii=False)))
        return 0
    rows = [_cells(episode, result) for episode in result.episodes]
    if rows:
        _print_table(rows)
        print()
    print(_summary(result, elapsed))
    return 0


def _to_json(result: BacktestResult, db_path: str, settings: dict[str, Any], elapsed: float) -> dict[str, object]:
    fields = asdict(result)
    return {
        "db_path": db_path,
        "from": None if result.start is None else _text(result.start),
        "to": _text(result.end),
        "settings": settings,
        **{name: fields[name] for name in ("rows", "warm_up_rows", "skipped_rows", "skills")},
        "elapsed_seconds": round(elapsed, 3),
        "episodes": [
            {
                **episode.to_dict(),
                "lasted_seconds": _lasted(episode, result).total_seconds(),
                "started_before_from": _is_from_before(episode, result),
            }
            for episode in result.episodes
        ],
    }


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _lasted(episode: Episode, result: BacktestResult) -> timedelta:
    return (episode.resolved_at or result.end) - episode.started_at


def _is_from_before(episode: Episode, result: BacktestResult) -> bool:
    return result.start is not None and episode.started_at < result.start


def _cells(episode: Episode, result: BacktestResult) -> tuple[str, ...]:
    mark = "*" if _is_from_before(episode, result) else ""
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


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False)
        for column, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if column in _RIGHT else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)
        return
    # Not a terminal: whole lines, however long, for scripts.
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    for row in (_HEADINGS, *rows):
        cells = (
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _summary(result: BacktestResult, elapsed: float) -> str:
    warm_up = f" after {result.warm_up_rows:,} of warm-up" if result.warm_up_rows else ""
    still_open = sum(episode.resolved_at is None for episode in result.episodes)
    return (
        f"{_count(result.rows, 'invocation')}{warm_up} of {_count(result.skills, 'skill')}, "
        f"{_count(result.skipped_rows, 'row')} skipped: {_count(len(result.episodes), 'episode')}, "
        f"{still_open:,} open at the end. Took {elapsed:.1f} s."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
