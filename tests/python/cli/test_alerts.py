"""`session-buddy alerts` on stored alerts: the list, its JSON, acknowledgements, mutes and exit statuses."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy import _native
from session_buddy.cli.main import main
from support.alerts import START, alert
from support.processes import Server
from support.stored_alerts import store_alerts
from support.streams import make_database
from support.tokens import READER, write_secret


@pytest.fixture
def database(db_path: Path) -> Path:
    """Two open alerts, one that ended and an improvement."""
    make_database(db_path)
    store_alerts(
        db_path,
        alert("mypy", id=1),
        alert("slow\u202e", "duration_rose", id=2, detected_at=START + timedelta(minutes=1)),
        alert("over", id=3, ended_at=START + timedelta(hours=2), end="recovered"),
        alert("better", "completion_rate_rose", id=4, ended_at=START, end="accepted"),
    )
    return db_path


def run(database: Path, *arguments: object) -> int:
    return main(["alerts", *map(str, arguments), "--db-path", str(database)])


def test_open_alerts_are_listed_the_newest_first(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(database) == 0
    header, slow, mypy = capsys.readouterr().out.splitlines()
    assert re.split("  +", header.strip()) == [
        "id", "skill", "alert", "before → after", "changed (UTC)", "by chance once in", "state",
    ]  # fmt: skip
    assert re.split("  +", slow.strip())[:3] == ["2", "slow\\u202e", "Slower"]
    assert re.split("  +", mypy.strip()) == [
        "1", "mypy", "Success rate fell", "98.0% → 71.0%", "2026-02-10 11:30", "40 weeks", "open",
    ]  # fmt: skip


def test_all_alerts_have_their_state(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(database, "ack", 1, "--note", "known") == 0
    assert run(database, "mute", "slow\u202e") == 0
    capsys.readouterr()
    assert run(database, "--all") == 0
    states = {line.split()[1]: re.split("  +", line)[-1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert states == {
        "mypy": "acknowledged: known",
        "slow\\u202e": "open, muted",
        "over": "recovered 2026-02-10 14:00",
        "better": "improvement",
    }
    assert run(database, "--all", "--skill", "over") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_json_has_the_alerts_of_the_api(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(database, "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["total"], page["mutes"]) == (2, [])
    assert [one["id"] for one in page["alerts"]] == [2, 1]
    assert page["alerts"][1]["before"] == {"value": 0.98, "low": 0.971, "high": 0.989, "samples": 812}


def test_an_alert_is_explained(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(database, "show", 1) == 0
    assert capsys.readouterr().out.splitlines() == [
        "#1  mypy  Success rate fell  open",
        "  98.0% (97.1% to 98.9%, n = 812) → 71.0% (58.0% to 81.0%, n = 44)",
        "  since 2026-02-10 11:30 UTC (between 11:25 and 11:32)",
        "  by chance once in 40 weeks",
        "  7 failures in a row",
        "  timeout 1.0% → 20.0%",
        "  60% in session session-1",
    ]


def test_an_acknowledgement_is_stored_and_replaced(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for note in ("known", ""):
        assert run(database, "ack", 1, "--note", note) == 0
        (stored,) = (one for one in read(database)["alerts"] if one["id"] == 1)
        assert stored["note"] == note
        assert stored["acknowledged_at"] is not None
    assert capsys.readouterr().out == "Acknowledged alert 1 of mypy\n" * 2


def test_a_mute_ends_after_its_time(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(timezone.utc)
    assert run(database, "mute", "mypy", "--for", "2d", "--reason", "upgrade") == 0
    (mute,) = read(database)["mutes"]
    assert mute["until"] is not None
    until = datetime.fromisoformat(mute["until"].replace("Z", "+00:00"))
    assert timedelta(0) <= until - before - timedelta(days=2) + timedelta(seconds=1) < timedelta(minutes=5)
    assert capsys.readouterr().out == f"Muted mypy until {mute['until']}: upgrade\n"
    assert run(database, "mutes") == 0
    assert capsys.readouterr().out == f"mypy until {mute['until']}: upgrade\n"


def test_a_mute_without_a_time_lasts_until_unmute(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(database, "mute", "mypy") == 0
    assert run(database, "mutes", "--json") == 0
    assert run(database, "unmute", "mypy") == 0
    output = capsys.readouterr().out
    assert output.startswith("Muted mypy until it is unmuted\n")
    assert output.endswith("Unmuted mypy\n")
    (mute,) = json.loads(output[output.index("[") : output.rindex("]") + 1])
    assert (mute["skill_name"], mute["until"], mute["reason"]) == ("mypy", None, "")
    assert run(database, "mutes") == 0
    assert capsys.readouterr().out == "No muted skills\n"
    assert run(database, "unmute", "mypy") == 1
    assert "skill 'mypy' is not muted" in capsys.readouterr().err


def read(database: Path) -> _native.AlertPage:
    return _native.alerts(str(database), open=None, skill=None, limit=100)


def test_a_database_without_alerts_has_none(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_database(db_path)
    assert run(db_path) == 0
    assert capsys.readouterr().out == f"No open alerts in {db_path}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["ack", "99"], 1, "no alert 99 in "),
        (["show", "99"], 1, "no alert 99 in "),
        (["ack", "x"], 2, "'x' is not the id of an alert"),
        (["ack", "1", "--note", "x" * 501], 2, "must be at most 500 bytes"),
        (["mute", "a\x01b"], 2, "without control characters"),
        (["mute", "a", "--for", "0"], 2, "must be 1s to 366d, not 0"),
        (["mute", "a", "--for", "soon"], 2, "use for example 30m, 8h or 7d"),
        (["nosuch"], 2, "invalid choice: 'nosuch'"),
    ],
)
def test_wrong_arguments_are_reported(
    database: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, reason: str
) -> None:
    try:
        done: object = run(database, *arguments)
    except SystemExit as end:
        done = end.code
    assert done == status
    assert reason in capsys.readouterr().err


def test_a_server_is_asked_instead_of_the_database(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{READER} read write\n")
    with Server(database, "--auth-token-file", str(tokens)) as server:
        at = ("--url", server.url)
        assert main(["alerts", *at]) == 1
        assert "HTTP 401" in capsys.readouterr().err
        at = (*at, "--token-file", str(tokens))
        assert main(["alerts", "ack", "3", "--note", "known", *at]) == 0
        assert main(["alerts", *at, "mute", "mypy", "--for", "1h", "--reason", "upgrade"]) == 0
        assert main(["alerts", *at, "--all", "--skill", "over"]) == 0
        assert main(["alerts", *at, "mutes"]) == 0
        acknowledged, muted, _, over, mute = capsys.readouterr().out.splitlines()
        assert acknowledged == "Acknowledged alert 3 of over"
        assert muted == f"Muted {mute}"
        assert over.endswith(": known")
        assert mute.startswith("mypy until ")
        assert main(["alerts", *at, "unmute", "mypy"]) == 0
        assert main(["alerts", *at, "unmute", "mypy"]) == 1
        assert main(["alerts", *at, "ack", "99"]) == 1
        errors = capsys.readouterr().err
        assert f"skill 'mypy' is not muted in {server.url}" in errors
        assert f"no alert 99 in {server.url}" in errors
    assert main(["alerts", *at]) == 1
    assert "no response to /api/v1/alerts" in capsys.readouterr().err
    assert read(database)["mutes"] == []


@pytest.mark.parametrize("arguments", [["--url", "ftp://x"], ["--ca-file", "x"], ["--url", "x", "--db-path", "y"]])
def test_wrong_access_is_reported(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", *arguments]) == 2
    assert capsys.readouterr().err.startswith("session-buddy alerts: error: ")


def test_no_database_is_reported_and_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "missing.db"
    for arguments in ([], ["ack", "1"], ["mute", "a"]):
        assert run(path, *arguments) == 1
        assert f"no database {path}" in capsys.readouterr().err
    assert not path.exists()
