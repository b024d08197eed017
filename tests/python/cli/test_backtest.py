"""`session-buddy backtest`: its table, its JSON, its exit statuses."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from session_buddy.anomaly import backtest
from session_buddy.cli.main import main
from support.streams import NOON, Invocation, hours, make_database, replace_rows, steady
from support.terminal import text_of_terminal

TO = "2026-02-11T00:00:00Z"
OLD = ("--deviations", "--alert-budget", "off")


@pytest.fixture
def database(db_path: Path) -> Path:
    """A drop that ends, slower invocations that continue, and a row that cannot be read."""
    make_database(db_path)
    replace_rows(
        db_path,
        [
            *steady(NOON - hours(20), NOON - hours(1.1), 100),
            *steady(NOON - hours(0.9), NOON, 10, rate=0.0),
            *steady(NOON + hours(1), NOON + hours(6), 60),
            *steady(NOON - hours(20), NOON + hours(10.9), 60, skill="git-commit", durations=(4.0, 6.0)),
            *steady(NOON + hours(11), NOON + hours(11.9), 20, skill="git-commit", durations=(14.0, 16.0)),
            Invocation(NOON, skill="\x01"),
        ],
    )
    return db_path


def run(*arguments: object) -> int:
    return main(["backtest", *map(str, arguments)])


def test_a_plain_table_where_there_is_no_terminal(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", database, "--to", TO, *OLD) == 0
    header, first, second, blank, summary = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "skill"
    assert first.startswith("pytest-run  performance_drop  2026-02-10 11:")
    assert "  100.0 % → " in first
    assert "open" not in first
    assert second.startswith("git-commit  pattern_shift     2026-02-10 23:")
    assert " open " in second
    assert " s → " in second
    assert blank == ""
    assert summary.startswith("250 invocations of 2 skills, 1 row skipped: 0 alerts, 0 open at the end; 2 ")
    assert "; 2 deviations, 1 open at the end. Took " in summary
    # The columns are aligned.
    assert {len(line) for line in (header, first, second)} == {len(header)}


def test_a_table_on_a_terminal(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = text_of_terminal(monkeypatch, "stdout", columns=140)
    assert run("--db-path", database, "--to", TO, "--deviations") == 0
    output = terminal.getvalue()
    assert "\x1b[" in output
    assert "100.0 % → " in output
    assert "pattern_shift" in output
    assert "2 deviations" in output


def test_json(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", database, "--to", TO, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    expected = backtest(database, end=TO)
    assert {name: report[name] for name in ("rows", "warm_up_rows", "skipped_rows", "skills")} == {
        "rows": 250,
        "warm_up_rows": 0,
        "skipped_rows": 1,
        "skills": 2,
    }
    assert report["db_path"] == str(database)
    assert (report["from"], report["to"]) == (None, TO)
    assert report["settings"] == {
        "threshold": 2.0,
        "baseline_window": 86400.0,
        "observation_window": 3600.0,
        "min_samples": 5,
        "alert_budget": "1/week",
    }
    assert report["alerts"] == [{**alert.to_dict(), "detected_before_from": False} for alert in expected.alerts]
    assert report["alerts_by_budget"] == expected.alerts_by_budget == {"1/week": len(expected.alerts)}
    for episode, found in zip(expected.episodes, report["episodes"], strict=True):
        end = episode.resolved_at or expected.end
        assert found == {
            **episode.to_dict(),
            "lasted_seconds": (end - episode.started_at) / timedelta(seconds=1),
            "started_before_from": False,
        }


def test_what_began_before_the_range_is_marked(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", database, "--from", "2026-02-10T12:00", "--to", TO, "--skill", "pytest-run", *OLD) == 0
    first = capsys.readouterr().out.splitlines()[1]
    assert first.split("  ")[2].strip().endswith("*")
    assert run("--db-path", database, "--from", "2026-02-10T12:00", "--to", TO, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [episode["started_before_from"] for episode in report["episodes"]] == [True, False]
    assert report["warm_up_rows"] > 100


def test_options_and_settings(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_ANOMALY_THRESHOLD", "9")
    monkeypatch.setenv("SESSION_BUDDY_ALERT_BUDGET", "1/month")
    monkeypatch.setenv("SESSION_BUDDY_DB_PATH", str(database))
    assert run("--to", TO, "--json", "--baseline-window", "2d", "--observation-window", "90m") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"] == {
        "threshold": 9.0,
        "baseline_window": 172800.0,
        "observation_window": 5400.0,
        "min_samples": 5,
        "alert_budget": "1/month",
    }
    assert run("--to", TO, "--json", "--threshold", "2.5", "--min-samples", "7") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["settings"]["threshold"], report["settings"]["min_samples"]) == (2.5, 7)
    assert len(report["episodes"]) == 2


@pytest.fixture
def alerting(db_path: Path) -> Path:
    """A skill that fails every time after two days."""
    make_database(db_path)
    good = steady(NOON - hours(48), NOON, 1000, rate=0.95, skill="mypy")
    replace_rows(db_path, [*good, *steady(NOON + hours(0.1), NOON + hours(2), 40, rate=0.0, skill="mypy")])
    return db_path


def test_alerts_are_listed_and_deviations_counted(alerting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", alerting, "--to", TO) == 0
    header, alert, blank, summary = capsys.readouterr().out.splitlines()
    assert header.startswith("skill  alert ")
    assert alert.startswith("mypy   Success rate fell  2026-02-10 12:")
    assert "  open  " in alert
    assert "  95.0% → 0.0%  " in alert
    assert blank == ""
    assert re.search(r"0 rows skipped: 1 alert, 1 open at the end; \d deviations?, ", summary)


def test_other_budgets_are_compared(alerting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budgets = ("--alert-budget", "off, 1/week", "--alert-budget", "1000/hour")
    assert run("--db-path", alerting, "--to", TO, *budgets) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "alert budget  alerts"
    assert lines[1:3] == ["off                0", "1/week             1"]
    assert lines[3].startswith("1000/hour  ")
    assert run("--db-path", alerting, "--to", TO, "--json", *budgets) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["alerts_by_budget"]) == ["off", "1/week", "1000/hour"]
    assert (report["settings"]["alert_budget"], report["alerts"]) == ("off", [])


def test_an_alert_from_before_the_range_is_marked(alerting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", alerting, "--from", "2026-02-10T13:30", "--to", TO) == 0
    alert = capsys.readouterr().out.splitlines()[1]
    assert re.match(r"mypy   Success rate fell  2026-02-10 12:\d\d\*", alert)


def test_nothing_to_report(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", database, "--to", "2020-01-01") == 0
    assert capsys.readouterr().out.startswith("0 invocations of 0 skills, ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--threshold", "0.1"], "threshold must be"),
        (["--baseline-window", "1h"], "baseline_window must be"),
        (["--min-samples", "1"], "min_samples must be"),
        (["--skill", ""], "skill must be"),
        (["--alert-budget", "1/week,often"], "alert_budget must be"),
        (["--from", "2026-02-10", "--to", "2026-02-09"], "end must not be before start"),
    ],
)
def test_values_that_cannot_be_used(
    database: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert run("--db-path", database, *arguments) == 2
    assert f"session-buddy backtest: error: {named}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "'yesterday' is not a timestamp; use for example"),
        (["--to", "2026-02-30"], "'2026-02-30' is not a timestamp; use for example"),
        (["--observation-window", "soon"], "'soon' is not a duration; use for example"),
        (["--threshold", "x"], "invalid float value"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as end:
        run(*arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_skill_without_invocations_is_reported(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--db-path", database, "--skill", "nosuch") == 1
    assert capsys.readouterr() == (
        "",
        f"session-buddy backtest: error: no invocation of skill 'nosuch' in this time range in {database}\n",
    )


def test_no_such_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "missing.db"
    assert run("--db-path", path) == 1
    assert str(path) in capsys.readouterr().err
    assert not path.exists()
