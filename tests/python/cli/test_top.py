"""`session-buddy top` on a real pseudo-terminal, and as text and JSON without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from session_buddy._alert_text import LABELS, duration
from session_buddy.cli._connection import MAX_LOOKUPS, DetachedThreads
from session_buddy.cli._terminal import Keys
from session_buddy.cli._top_columns import METRICS, SORTS, ago, wilson
from session_buddy.cli._top_model import BUCKET_SECONDS, BUCKETS, Activity, Model
from session_buddy.cli._top_view import ASCII, UNICODE, Screen, plain, sparkline, truncate
from session_buddy.client import Alert, AlertLevel, Anomaly, MetricsUpdate, TopSkill, as_wire
from support.alerts import START, alert
from support.certificates import Certificates
from support.histories import fill, invocations
from support.paths import ROOT
from support.processes import DEADLINE, Program, Server, wait_until
from support.reverse_proxy import free_port
from support.schemas import validated
from support.streams import Invocation, hours, make_database, replace_rows, steady
from support.terminal import Terminal
from support.tokens import READER, write_secret

COMMAND = str(Path(sys.executable).parent / "session-buddy")
UP, DOWN, PAGE_DOWN, END, HOME, ESCAPE = "\x1b[A", "\x1b[B", "\x1b[6~", "\x1b[F", "\x1b[H", "\x1b"


def top(*arguments: str) -> list[str]:
    return [COMMAND, "top", *arguments]


def run_top(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs it without a terminal, until it exits."""
    return subprocess.run(
        top(*arguments),
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


def shown_skills(picture: list[str]) -> list[str]:
    """Names in the table, from the top."""
    names = []
    for line in picture[2:]:
        match = re.match(r"(\S+) +[\d,]+ +[\d.]+%", line)
        if match is None:
            break
        names.append(match[1])
    return names


@pytest.fixture
def served(db_path: Path) -> Iterator[Server]:
    """Thirty skills: skill-00 ran once and failed; skill-29 ran thirty times."""
    fill(
        db_path,
        *[
            invocations(
                f"skill-{number:02}", number + 1, completed=number, duration=60.0 - number, session_id=f"s-{number}"
            )
            for number in range(30)
        ],
    )
    with Server(db_path, "--top-skills", "100") as server:
        yield server


# ---- On a terminal


def test_skills_deviations_sessions_and_the_connection_are_shown(db_path: Path) -> None:
    make_database(db_path)
    now = datetime.now(timezone.utc)
    runs = [
        *steady(now - hours(20), now - hours(2), 80, skill="mypy", durations=(1.0,)),
        *steady(now - hours(0.5), now, 20, rate=0.2, skill="mypy", durations=(1.0,)),
        *[Invocation(now, skill="steady", duration=2.5)] * 4,
    ]
    replace_rows(db_path, runs)
    with Server(db_path) as server, Terminal(top("--url", server.url), columns=140) as terminal:
        picture = terminal.wait_for("mypy •")
        assert re.match(rf"session-buddy {server.url}  connected, data \d s old$", picture[0])
        assert re.match(r"mypy • +100 +84\.0% +75\.6% - 89\.9% +0 +1\.00 s +(\d[.\d]+ m?s +){2}\d+s", picture[2])
        assert re.match(r"steady +4 +100\.0% +51\.0% - 100\.0% +0 +2\.50 s +(2\.\d\d s +){2}\d+s", picture[3])
        (line,) = [line for line in picture if "session-1" in line]
        assert re.match(r"  session-1  88/104 completed  2 skills  20h long  \d+s ago$", line)
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.is_restored()
        assert terminal.errors == b""


def test_it_shows_changes_as_they_come(served: Server) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("skill-29")
        fill(served.db_path, invocations("brand-new", 99, session_id="s-new"))
        terminal.wait_for(lambda picture: shown_skills(picture)[:1] == ["brand-new"])
        terminal.wait_for("s-new")


def test_sort_keys_sort(served: Server) -> None:
    names = [f"skill-{number:02}" for number in range(30)]
    with Terminal(top("--url", served.url), lines=60) as terminal:

        def sorted_after(key: str, expected: list[str], title: str) -> None:
            terminal.press(key)
            terminal.wait_for(lambda picture: shown_skills(picture) == expected and title in picture[1])

        terminal.wait_for(lambda picture: shown_skills(picture) == names[::-1] and "invocations ▼" in picture[1])
        sorted_after("r", names, "invocations ▲")
        sorted_after("d", [*names[1:], names[0]], "mean duration ▼")  # skill-00 has no duration, as it never completed
        sorted_after("r", [names[0], *names[:0:-1]], "mean duration ▲")
        sorted_after("n", names, "skill ▲")
        sorted_after("r", names[::-1], "skill ▼")
        sorted_after("s", names[::-1], "invocations ▼")
        sorted_after("s", names[::-1], "success rate ▼")
        sorted_after("S", names[::-1], "invocations ▼")
        sorted_after("\x1b[C", names[::-1], "success rate ▼")


def test_searching_filters_until_escape(served: Server) -> None:
    with Terminal(top("--url", served.url), lines=60) as terminal:
        terminal.wait_for("skill-00")
        terminal.press("/")
        terminal.wait_for("search:")
        terminal.press("LL-1q")  # q is text here
        terminal.wait_for("no skills")
        terminal.press("\x7f")
        terminal.wait_for(lambda picture: shown_skills(picture) == [f"skill-{number}" for number in range(19, 9, -1)])
        terminal.press("\r")
        terminal.wait_for("1-10 of 10")
        terminal.press("r")
        terminal.wait_for(lambda picture: shown_skills(picture)[0] == "skill-10")
        terminal.press(ESCAPE)
        terminal.wait_for("of 30")


def test_it_scrolls_by_lines_and_pages_and_not_beyond_the_end(served: Server) -> None:
    with Terminal(top("--url", served.url), lines=24) as terminal:
        page = len(shown_skills(terminal.wait_for("of 30")))
        assert 5 < page < 20

        def first_is(number: int) -> None:
            terminal.wait_for(lambda picture: shown_skills(picture)[0] == f"skill-{number:02}")

        terminal.press(DOWN + DOWN + UP + "j")
        first_is(27)
        terminal.press(PAGE_DOWN)
        first_is(27 - page)
        terminal.press(END)
        first_is(page - 1)
        terminal.wait_for(f"{31 - page}-30 of 30")
        terminal.press(DOWN)
        terminal.press("k")
        first_is(page)
        terminal.press(HOME)
        first_is(29)


def test_help_is_shown_and_hidden(served: Server) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("skill-29")
        terminal.press("h")
        picture = terminal.wait_for("reverse the order")
        assert shown_skills(picture) == []
        terminal.press("?")
        terminal.wait_for("skill-29")


@pytest.mark.parametrize(("columns", "lines"), [(200, 50), (80, 24), (60, 20), (40, 10), (20, 5), (10, 2), (1, 1)])
def test_it_fits_a_terminal_of_any_size_also_while_it_changes(served: Server, columns: int, lines: int) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("skill-29")
        terminal.resize(columns, lines)
        if columns >= 40:
            picture = terminal.wait_for(lambda picture: any("skill-29" in line for line in picture))
            terminal.wait_for(lambda picture: any("of 30" in line for line in picture) and "ski" in picture[1])
            assert max(map(cell_len, picture)) <= columns
            assert ("last 24 h" in picture[1] or "last 2 min" in picture[1]) == (columns >= 106)
        terminal.resize(100, 40)
        terminal.wait_for(lambda picture: len(shown_skills(picture)) > 20 and "q quit" in picture[-1])
        terminal.press("q")
        assert terminal.end() == 0


HOSTILE = [
    "[red]markup[/red]",
    "\u202egnp.exe",
    "a\u200bb",
    "名前" * 40,
    "مرحبا",
    "\U0001f680 go",
    "[/]",
    "e\u0301",
    "\\[x",
]


def test_hostile_names_are_escaped_and_break_nothing(db_path: Path) -> None:
    fill(db_path, *[invocations(name, 2, session_id=f"s {name}") for name in HOSTILE])
    with Server(db_path) as server, Terminal(top("--url", server.url), columns=140, lines=40) as terminal:
        picture = terminal.wait_for("markup")
        whole = "\n".join(picture)
        for text in ("[red]markup[/red] ", "\\u202egnp.exe ", "a\\u200bb ", "مرحبا ", "[/] ", "\\[x "):
            assert text in whole
        assert "…" in whole
        assert "\u202e" not in terminal.output.decode()
        ends = set()
        for line in picture[2 : 2 + len(HOSTILE)]:
            match = re.search(r" 2 +100\.0% +34\.2% - 100\.0%", line)
            assert match is not None, line
            ends.add(cell_len(line[: match.end()]))
        assert len(ends) == 1, "the columns are aligned"


@pytest.mark.parametrize("how", ["q", "Ctrl-C", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_restored_however_it_ends(served: Server, how: str) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("skill-29")
        assert not terminal.is_restored()
        if how == "q":
            terminal.press("q")
        elif how == "Ctrl-C":
            terminal.press("\x03")
        else:
            terminal.process.send_signal(signal.Signals[how])
        assert terminal.end() == 0
        assert terminal.is_restored()
        assert terminal.errors == b""


def test_ctrl_z_restores_the_terminal_until_it_is_resumed(served: Server) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("skill-29")
        terminal.press("\x1a")
        wait_until(
            lambda: os.waitpid(terminal.process.pid, os.WUNTRACED | os.WNOHANG)[0] != 0, "the process is stopped"
        )
        wait_until(terminal.is_restored, "the terminal is restored")
        terminal.process.send_signal(signal.SIGCONT)
        wait_until(lambda: not terminal.is_restored(), "it has set up the terminal again")
        terminal.press("h")
        terminal.wait_for("reverse the order")
        terminal.press("hq")
        assert terminal.end() == 0
        assert terminal.is_restored()


def test_a_lost_server_is_shown_with_the_age_of_the_data_until_it_reconnects(served: Server) -> None:
    with Terminal(top("--url", served.url)) as terminal:
        terminal.wait_for("connected, data 0 s old")
        served.stop(signal.SIGKILL)
        aged = re.compile(r"reconnecting, data [2-9]\d* s old: no server is listening")
        picture = terminal.wait_for(lambda lines: aged.search(lines[0]) is not None)
        assert "skill-29" in picture[2]
        with Server(served.db_path, "--top-skills", "100", port=served.port):
            terminal.wait_for("connected, data 0 s old")
        terminal.press("q")
        assert terminal.end() == 0


def test_it_waits_for_a_server_that_is_not_there_yet(filled_db: Path) -> None:
    port = free_port()
    with Terminal(top("--url", f"localhost:{port}")) as terminal:
        terminal.wait_for("connecting, no data yet: no server is listening")
        with Server(filled_db, port=port):
            terminal.wait_for("pytest-run")


def test_a_rejection_ends_it_with_the_reason_on_a_restored_terminal(filled_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{READER}\n")
    with (
        Server(filled_db, "--auth-token-file", str(tokens)) as server,
        Terminal(top("--url", server.url), env={"SESSION_BUDDY_TOKEN": "wrong"}) as terminal,
    ):
        assert terminal.end() == 1
        assert b"HTTP 401" in terminal.errors
        assert terminal.is_restored()


def test_no_color_has_no_colours(served: Server) -> None:
    colour = re.compile(rb"\x1b\[[\d;]*3\dm|\x1b\[[\d;]*38;")
    for env in ({}, {"NO_COLOR": "1"}):
        with Terminal(top("--url", served.url), env=env) as terminal:
            terminal.wait_for("skill-29")
            terminal.press("q")
            assert terminal.end() == 0
            assert (colour.search(terminal.output) is None) == bool(env)


def test_a_dumb_terminal_gets_text(served: Server) -> None:
    with Terminal(top("--url", served.url), columns=150, lines=80, env={"TERM": "dumb"}) as terminal:
        terminal.wait_for("skill-29")
        terminal.press("\x03")
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.output


# ---- Without a terminal


def test_once_prints_one_state(served: Server) -> None:
    done = run_top("--url", served.url, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.match(rf"{served.url}  connected, data 0 s old  \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", lines[0])
    assert re.match(r"skill-29 +30 +96\.7% +83\.3% - 99\.4% +0 +31\.0 s +(3\d\.\d s +){2}\d+s ago$", lines[2])
    assert sum(line.startswith("skill-") for line in lines) == 30
    assert sum(line.startswith("session: s-") for line in lines) == 30


def test_once_fails_where_a_skill_was_never_recorded(served: Server) -> None:
    for names in (["nosuch"], ["skill-03", "nosuch"]):
        done = run_top("--url", served.url, "--once", *[word for name in names for word in ("--skill", name)])
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("session-buddy top: ")
        assert "nosuch" in done.stderr
        assert done.stderr.count("\n") == 1


def test_columns_and_alerts_have_the_labels_of_the_dashboard() -> None:
    page = (ROOT / "dashboard" / "src" / "views" / "metrics.tsx").read_text()
    labels = re.findall(r"\blabel: '([^']+)'", page)
    # The dashboard shows the number of unknown outcomes in the cell of the success rate.
    assert sorted(label.lower() for label in labels) == sorted({column.name.lower() for column in SORTS} - {"unknown"})
    alerts = (ROOT / "dashboard" / "src" / "alerts.ts").read_text()
    assert dict(re.findall(r"^  (\w+): \{ icon: '\w+', label: '([^']+)'", alerts, re.MULTILINE)) == LABELS


def model(*alerts: Alert, deviating: tuple[str, ...] = ()) -> Model:
    """A state with these alerts, in which the skills of the alerts and those that deviate are used."""
    names = dict.fromkeys([*(alert.skill_name for alert in alerts), *deviating])
    skills = tuple(TopSkill(name, 10, 5, 1.0, START) for name in names)
    anomalies = tuple(Anomaly(name, "performance_drop", 0.9, 0.5, 3.0) for name in deviating)
    shown = Model("ws://localhost:8765")
    shown.apply(MetricsUpdate(START, skills, anomalies, alerts))
    return shown


def rendered(shown: Model, columns: int, lines: int) -> list[str]:
    console = Console(width=columns, height=lines, file=io.StringIO(), color_system=None)
    console.print(Screen(shown, UNICODE).render(columns, lines))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_active_alerts_are_shown_and_others_are_counted() -> None:
    picture = rendered(
        model(
            alert("mypy"),
            alert("slow", "duration_rose", before=AlertLevel(1, 1, 1, 90), after=AlertLevel(4, 4, 4, 9)),
            alert("quiet", muted=True),
            alert("known", acknowledged_at=START),
            alert("over", ended_at=START, end="recovered"),
            alert("better", "completion_rate_rose", ended_at=START, end="accepted", failures_in_a_row=0),
            deviating=("mypy", "other"),
        ),
        120,
        30,
    )
    start = picture.index("alerts: 2, and 2 acknowledged or muted")
    mypy, slow, better = picture[start + 1 : start + 4]
    assert re.match(
        r"  mypy  Success rate fell  98\.0% → 71\.0%  since \d+d  7 failures in a row  by chance once in 40 weeks$",
        mypy,
    )
    assert slow.startswith("  slow  Slower  1.00 s → 4.00 s  since ")
    assert better.startswith("  better  Success rate rose  ")
    assert picture[start + 4].startswith("active sessions")
    assert [line.split()[0] for line in picture[2:start] if " • " in line] == ["mypy", "other"]


def test_alerts_of_an_older_server_are_not_reported_as_none() -> None:
    shown = model()
    shown.apply(MetricsUpdate(START, (TopSkill("mypy", 1, 1, 1.0, START),), (), None))
    assert "alerts: not reported by this server" in rendered(shown, 80, 24)


def test_plain_lines_have_alerts_improvements_and_deviations() -> None:
    better = alert("better", "completion_rate_rose", ended_at=START, end="accepted")
    lines = plain(model(alert("mypy"), better, deviating=("other", "mypy")), ASCII).splitlines()
    assert any(line.startswith("alert: mypy: Success rate fell  98.0% -> 71.0%  since ") for line in lines)
    assert any(line.startswith("improvement: better: Success rate rose  98.0% -> 71.0%") for line in lines)
    assert "deviating from the baseline: mypy, other" in lines


@pytest.mark.parametrize("columns", [20, 40, 50])
def test_names_and_the_last_line_stay_on_a_narrow_terminal_with_alerts(columns: int) -> None:
    names = ["style-rules", "type-checks", "unit-tests"]
    picture = rendered(model(*map(alert, names)), columns, 24)
    assert sorted(line.split()[0] for line in picture[2:5]) == names
    assert picture[-1].startswith("1-3 of 3")
    below = picture[picture.index("alerts: 3") :]
    assert [line[:2] for line in below] == ["al", "  ", "  ", "  ", "ac", "1-"]
    assert all(any(line.startswith(f"  {name[:8]}") for line in below) for name in names)


def test_each_key_sorts_by_one_column_and_none_has_another_meaning() -> None:
    keys = [column.press for column in SORTS]
    assert len({*keys}) == len(keys)
    assert not {*keys} & {"s", "S", "r", "h", "q", "Q", "/", "j", "k", "g", "G"}


def test_once_prints_the_state_of_a_server_without_anything(db_path: Path) -> None:
    with Server(db_path) as server:
        done = run_top("--url", server.url, "--once")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[2:] == ["nothing to evaluate: no invocation in the server's window"]
        assert json.loads(run_top("--url", server.url, "--once", "--json").stdout)["active_sessions"] == []


def test_once_as_json_has_names_and_units_of_the_api(served: Server) -> None:
    done = run_top("--url", served.url, "--once", "--json", "--skill", "skill-03", "--skill", "skill-04")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    state = json.loads(line)
    assert state["state"] == "connected"
    four, three = state["skills"]
    assert (three["skill_name"], three["invocation_count"], three["completed_count"]) == ("skill-03", 4, 3)
    assert (four["completion_rate"], four["avg_duration"]) == (0.8, 56.0)
    assert four["completion_rate_low"] < 0.8 < four["completion_rate_high"]
    assert len(state["active_sessions"]) == 30
    assert (four["unknown_count"], four["measured_count"]) == (0, 4)
    assert four["p50_duration"] == pytest.approx(56.0, rel=0.04)
    known = {"skill_name", "invocation_count", "completed_count", "avg_duration", "last_invocation_at"}
    known |= {"unknown_count", "p50_duration", "p95_duration", "measured_count"}
    data = {"top_skills": [{key: skill[key] for key in known} for skill in state["skills"]], "anomalies": []}
    validated({"type": "metrics_update", "timestamp": state["timestamp"], "data": data})


def test_it_works_in_an_encoding_without_these_characters(db_path: Path) -> None:
    fill(db_path, *[invocations(name, 2) for name in HOSTILE])
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with Server(db_path) as server:
        done = run_top("--url", server.url, "--once", "--json", env=ascii_only)
        assert (done.returncode, done.stderr) == (0, "")
        assert {skill["skill_name"] for skill in json.loads(done.stdout)["skills"]} == set(HOSTILE)
        done = run_top("--url", server.url, "--once", env=ascii_only)
        assert (done.returncode, done.stderr) == (0, "")
        assert "[red]markup[/red]" in done.stdout
        with Terminal(top("--url", server.url), env=ascii_only) as terminal:
            assert "invocations v" in terminal.wait_for("markup")[1]
            assert "\\u0645\\u0631" in "\n".join(terminal.screen_lines)
            terminal.press("q")
            assert terminal.end() == 0
            assert terminal.output.isascii()


def test_json_is_a_line_for_each_update(served: Server) -> None:
    with Program(top("--url", served.url, "--json")) as program:
        for _ in range(3):
            assert json.loads(program.wait_for("^{"))["skills"][0]["skill_name"] == "skill-29"
        served.stop(signal.SIGKILL)
        program.wait_for("^session-buddy top: reconnecting: ")
        with Server(served.db_path, port=served.port):
            program.wait_for(lambda line: line.startswith("{") and len(json.loads(line)["skills"]) == 10)
        assert program.stop(signal.SIGTERM) == 0


def test_text_continues_until_a_signal_or_a_closed_pipe(served: Server) -> None:
    with Program(top("--url", served.url)) as program:
        for _ in range(3):
            program.wait_for("^skill-29 ")
        assert program.stop(signal.SIGINT) == 0
    assert "\x1b" not in "".join(program.seen)
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} top --url {served.url} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


HANGING_LOOKUP = """\
import socket, sys, time
def getaddrinfo(*_, **__):
    print("looking it up", flush=True)
    time.sleep(3600)
socket.getaddrinfo = getaddrinfo
from session_buddy.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", [["top"], ["notify", "--dry-run"]])
def test_a_signal_ends_a_client_whose_name_server_does_not_answer(command: list[str]) -> None:
    arguments = [sys.executable, "-c", HANGING_LOOKUP, *command, "--url", "ws://metrics.example.org"]
    with Program(arguments) as program:
        program.wait_for("looking it up")
        assert program.stop(signal.SIGTERM) == 0
    assert "Traceback" not in "".join(program.seen)


async def test_name_lookups_that_hang_are_bounded() -> None:
    loop = asyncio.get_running_loop()
    answer = threading.Event()
    executor = DetachedThreads()
    waiting = [loop.run_in_executor(executor, answer.wait, DEADLINE) for _ in range(MAX_LOOKUPS)]
    with pytest.raises(OSError, match="still unanswered"):
        await loop.run_in_executor(executor, answer.wait)
    answer.set()
    assert all(await asyncio.gather(*waiting))
    assert await loop.run_in_executor(executor, int, "1") == 1
    with pytest.raises(ValueError, match="invalid literal"):
        await loop.run_in_executor(executor, int, "x")


def test_without_a_server_once_fails_with_the_reason() -> None:
    port = free_port()
    done = run_top("--url", f"localhost:{port}", "--once")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"session-buddy top: no connection: no server is listening at localhost:{port}\n"


def test_a_token_comes_from_a_file_or_the_environment_and_never_from_a_flag(filled_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{READER}\n")
    with Server(filled_db, "--auth-token-file", str(tokens)) as server:
        at = ("--url", server.url, "--once")
        assert "HTTP 401" in run_top(*at, env={"SESSION_BUDDY_TOKEN": "wrong"}).stderr
        assert run_top(*at, env={"SESSION_BUDDY_TOKEN": READER}).returncode == 0
        # The file takes precedence, and may hold more than the token, as the server's token file may.
        shown = write_secret(tmp_path / "mine", f"{READER} read # mine\n")
        assert run_top(*at, "--token-file", str(shown), env={"SESSION_BUDDY_TOKEN": "wrong"}).returncode == 0
        assert run_top(*at, "--token", READER).returncode == 2
        for content, reason in (("", "no token in"), ("\u00e9", "must be ASCII")):
            done = run_top(*at, "--token-file", str(write_secret(tmp_path / "bad", content)))
            assert done.returncode == 1
            assert reason in done.stderr
        assert "No such file" in run_top(*at, "--token-file", str(tmp_path / "missing")).stderr


def test_it_trusts_the_given_certificate_authority(filled_db: Path, certificates: Certificates) -> None:
    with Server(filled_db, *certificates.options) as server:
        assert run_top("--url", server.url, "--once", "--ca-file", str(certificates.authority_file)).returncode == 0
        done = run_top("--url", server.url, "--once")
        assert done.returncode == 1
        assert "the server's certificate was rejected" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--url", "ftp://x"], "is not a server address"),
        (["--url", "ws://x", "--ca-file", "missing.pem"], "ca_file"),
        ([word for number in range(51) for word in ("--skill", str(number))], "50 times"),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], reason: str) -> None:
    done = run_top("--once", *arguments)
    assert done.returncode == 1
    assert reason in done.stderr


# ---- The last 24 hours, from the HTTP side


@contextlib.contextmanager
def server_with_hours(answer: Callable[[], tuple[int, str]], asked: list[tuple[str, str | None]]) -> Iterator[str]:
    """A fake server with configurable HTTP responses; `asked` gets path and token. Yields the address."""

    def http(connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        asked.append((request.path, request.headers.get("Authorization")))
        status, body = answer()
        return connection.respond(HTTPStatus(status), body)

    def websocket(connection: ServerConnection) -> None:
        confirmations = {"subscribe": "subscription_confirmed", "subscribe_sessions": "sessions_subscribed"}
        with contextlib.suppress(ConnectionClosed):
            for text in connection:
                request = json.loads(text)
                kind = confirmations.get(request["type"], "unsubscribed")
                connection.send(json.dumps({"type": kind, "message": "", "request_id": request["request_id"]}))
                skill = {"skill_name": "mypy", "invocation_count": 12, "completed_count": 9, "avg_duration": 1.0}
                skills = [{**skill, "last_invocation_at": "2026-02-10T12:00:00Z"}]
                update = {"top_skills": skills, "anomalies": []}
                if request["type"] == "subscribe":
                    connection.send(
                        json.dumps({"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": update})
                    )

    with serve(websocket, "127.0.0.1", 0, process_request=http) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_sparklines_are_of_the_last_24_hours_where_the_server_reports_them() -> None:
    asked: list[tuple[str, str | None]] = []
    counts = [0] * 21 + [1, 4, 8]
    skill = {"skill_name": "mypy", "sparkline": {"invocation_count": counts, "completed_count": counts}}
    body = json.dumps({"total": 1, "skills": [skill]})
    with server_with_hours(lambda: (200, body), asked) as url:
        with Terminal(top("--url", url), columns=120, env={"SESSION_BUDDY_TOKEN": "secret"}) as terminal:
            picture = terminal.wait_for("last 24 h")
            assert picture[2].endswith("▁▄█")
        with Terminal(top("--url", url, "--skill", "mypy", "--skill", "a/b c"), columns=120) as terminal:
            terminal.wait_for("last 24 h")
    assert asked == [
        ("/api/v1/skills?sparkline=true&limit=100", "Bearer secret"),
        ("/api/v1/skills?sparkline=true&limit=100&search=mypy", None),
        ("/api/v1/skills?sparkline=true&limit=100&search=a%2Fb+c", None),
    ]


def test_the_server_reports_the_last_24_hours(db_path: Path) -> None:
    earlier = datetime.now(timezone.utc) - timedelta(hours=5)
    fill(db_path, invocations("mypy", 8), invocations("mypy", 4, newest=earlier), invocations("ruff-check", 1))
    with Server(db_path) as server, Terminal(top("--url", server.url), columns=120) as terminal:
        picture = terminal.wait_for("last 24 h")
        with urllib.request.urlopen(f"http://localhost:{server.port}/api/v1/skills?sparkline=true") as answer:
            hours_of = {
                skill["skill_name"]: skill["sparkline"]["invocation_count"] for skill in json.load(answer)["skills"]
            }
    assert sum(hours_of["mypy"]) == 12
    for line, name in zip(picture[2:4], ("mypy", "ruff-check"), strict=True):
        assert line.startswith(f"{name} ")
        assert line.endswith(f" {sparkline(hours_of[name]).strip()}")


@pytest.mark.parametrize("answer", [(404, "{}"), (503, ""), (200, "no JSON"), (200, "[]"), (200, '{"skills": [{}]}')])
def test_without_hours_from_the_server_sparklines_are_of_what_was_seen(answer: tuple[int, str]) -> None:
    asked: list[tuple[str, str | None]] = []
    with server_with_hours(lambda: answer, asked) as url, Terminal(top("--url", url), columns=120) as terminal:
        terminal.wait_for("mypy")
        wait_until(lambda: len(asked) == 1, "a request arrives")
        terminal.press("r")
        assert "last 2 min" in terminal.wait_for("invocations ▲")[1]
        terminal.press("q")
        assert terminal.end() == 0


# ---- Parts


def test_rates_and_intervals_are_over_known_outcomes() -> None:
    at = datetime.now(timezone.utc)
    skill = TopSkill("a", 50, 46, 1.0, at, unknown_count=8, p50_duration=1.2, p95_duration=None, measured_count=3)
    cells = {column.name: column.text(skill) for column in METRICS}
    assert (cells["success rate"], cells["95 % interval"]) == ("90.5%", "77.9% - 96.2%")
    assert (cells["unknown"], cells["median duration"], cells["p95 duration"]) == ("8", "1.20 s", "-")
    assert TopSkill("a", 8, 8, 1.0, at, unknown_count=8).completion_rate is None
    assert TopSkill("a", 8, 4, 1.0, at).completion_rate == 0.5  # of an update without details


def test_absent_fields_are_omitted_from_json() -> None:
    at = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)
    plain = {"skill_name": "a", "invocation_count": 1, "completed_count": 1, "avg_duration": 1.0}
    plain["last_invocation_at"] = "2026-02-10T12:00:00Z"
    assert as_wire(TopSkill("a", 1, 1, 1.0, at)) == plain
    details = {"unknown_count": 0, "p50_duration": None, "p95_duration": None, "measured_count": 0}
    assert as_wire(TopSkill.from_wire({**plain, **details})) == {**plain, **details}


def test_wilson_intervals_are_those_of_the_textbook() -> None:
    assert wilson(0, 0) is None
    assert wilson(38, 42) == pytest.approx((0.7793, 0.9623), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_activity_counts_what_grew_in_steps_of_time() -> None:
    activity = Activity()

    def skill(count: int) -> TopSkill:
        return TopSkill("a", count, 0, 0.0, datetime.now(timezone.utc))

    activity.record([skill(5)], 0.0)
    assert activity.counts("a", 0.0) == [0] * BUCKETS  # earlier invocations are not counted
    activity.record([skill(7)], 1.0)
    activity.record([skill(8)], 2.0)
    activity.record([skill(6)], BUCKET_SECONDS)  # the window slid
    activity.record([skill(9)], 2 * BUCKET_SECONDS)
    assert activity.counts("a", 2 * BUCKET_SECONDS)[-3:] == [3, 0, 3]
    assert activity.counts("a", (BUCKETS + 1) * BUCKET_SECONDS) == [3, *[0] * (BUCKETS - 1)]
    assert activity.counts("a", 1000 * BUCKET_SECONDS) == [0] * BUCKETS
    assert activity.counts("unknown", 0.0) == [0] * BUCKETS


@pytest.mark.parametrize(
    ("counts", "line"), [([], ""), ([0, 0], "  "), ([0, 1, 100], " ▁█"), ([8, 4, 1], "█▄▁"), ([3], "█")]
)
def test_sparklines_show_every_invocation(counts: list[int], line: str) -> None:
    assert sparkline(counts) == line


def test_values_are_short_and_have_units() -> None:
    assert [ago(seconds) for seconds in (0, 59.9, 60, 3600, 90000)] == ["0s", "59s", "1m", "1h", "1d"]
    assert [duration(s) for s in (0.0123, 1.234, 12.34, 123.4, 40000)] == ["12 ms", "1.23 s", "12.3 s", "2 min", "11 h"]
    assert truncate("名前名前", 5) == "名前…"
    assert truncate("abc", 3) == "abc"
    for glyphs in (UNICODE, ASCII):
        assert glyphs.printable("a\u202eb\u200bc\x1bd") == "a\\u202eb\\u200bc\\u001bd"
    assert ASCII.printable("e\u0301 名") == "e\\u0301 \\u540d"


def test_keys_are_read_however_they_are_split() -> None:
    sent = "a\x1b[Aé\x1bOB\x1b[5~\x7f\r名\x1b[1;5C\x1b[200~x"
    expected = ["a", "up", "é", "down", "page up", "backspace", "enter", "名", "x"]
    for size in range(1, 8):
        keys, got = Keys(), []
        data = sent.encode()
        for start in range(0, len(data), size):
            got += keys.feed(data[start : start + size])
        assert got == expected
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.incomplete
    assert keys.flush() == ["escape"]
    assert keys.feed(b"\x1bq") == ["escape", "q"]
    assert keys.feed(b"\x1b[" + b"1;" * 50) == []  # no key sequence is that long
    assert keys.feed(b"q") == ["q"]
