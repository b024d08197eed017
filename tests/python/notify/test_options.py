"""--once, --dry-run, templates and wrong use of `session-buddy notify`."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from session_buddy.notify.body import Body, sentence
from session_buddy.notify.state import StateFile
from support.notifier import COMMAND, DROP, event, heal, notifier, run_notify
from support.processes import Server, wait_until
from support.receiver import WebhookReceiver
from support.reverse_proxy import free_port
from support.streams import behave, make_database

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # stdout as in a shell

# ---- --once and --dry-run


def test_once_sends_what_changed_since_the_last_run(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        once = ("--url", served.url, "--state", str(state), "--settle", "1", "--webhook", receiver.url)
        once = (*once, "--once", "--deviations")
        for _ in range(2):
            assert run_notify(*once).returncode == 0
            assert receiver.events() == [("started", "mypy")]
        heal(served.db_path)
        wait_until(lambda: run_notify(*once).returncode == 0 and len(receiver.posts) > 1, "the end is sent")
        assert receiver.events() == [("started", "mypy"), ("resolved", "mypy")]


def test_once_keeps_undelivered_events_for_the_next_run(served: Server, state: Path) -> None:
    port = free_port()
    once = ("--url", served.url, "--state", str(state), "--webhook", f"http://127.0.0.1:{port}/")
    once = (*once, "--once", "--deviations")
    done = run_notify(*once)
    assert done.returncode == 1
    assert "will retry in the next run" in done.stderr
    with WebhookReceiver(port=port) as receiver:
        assert run_notify(*once).returncode == 0
        assert receiver.events() == [("started", "mypy")]
    done = run_notify("--url", f"localhost:{free_port()}", "--state", str(state), "--webhook", "http://x", "--once")
    assert done.returncode == 1
    assert "no server is listening" in done.stderr


def test_a_dry_run_prints_and_keeps_nothing(served: Server, state: Path) -> None:
    for _ in range(2):
        done = run_notify("--url", served.url, "--state", str(state), "--dry-run", "--once", "--deviations")
        assert (done.returncode, done.stderr) == (0, "")
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["event"] == "started"
    assert not state.parent.exists()


def test_once_fails_where_a_skill_was_never_recorded(served: Server, state: Path) -> None:
    done = run_notify("--url", served.url, "--state", str(state), "--dry-run", "--once", "--skill", "nosuch")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nosuch" in done.stderr


def test_a_dry_run_escapes_terminal_control_sequences(db_path: Path, state: Path, tmp_path: Path) -> None:
    template = tmp_path / "body"
    template.write_text("$skill\u202e\x9b31m\x1b]0;x\x07", encoding="utf-8")
    make_database(db_path)
    behave(db_path, failing=["a\u202eb"])
    with Server(db_path, interval="50ms") as server:
        for options in ([], ["--template", str(template)]):
            done = run_notify(
                "--url", server.url, "--state", str(state), "--dry-run", "--deviations", "--once", *options
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert "a\\u202eb" in done.stdout
            assert all(character.isprintable() or character == "\n" for character in done.stdout)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("once", [True, False])
def test_a_dry_run_that_cannot_print_ends_with_one_line_and_status_1(served: Server, state: Path, once: bool) -> None:
    words = [COMMAND, "notify", "--url", served.url, "--state", str(state), "--dry-run", "--deviations"]
    words += ["--once"] if once else []
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=BUFFERED
        )
    assert done.returncode == 1
    assert done.stderr == "session-buddy notify: error: cannot write the output: No space left on device\n"


# ---- Templates


def test_a_template_renders_the_body(db_path: Path, state: Path, tmp_path: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=['say "hi" \\ 名前'])
    template = tmp_path / "slack.json"
    template.write_text('{"text": "$severity $text", "n": $deviation, "cost": "$$5", "t": "${type}"}', encoding="utf-8")
    with Server(db_path) as server, WebhookReceiver() as receiver:
        arguments = ("--state", str(state), "--webhook", receiver.url, "--template", str(template))
        arguments = (*arguments, "--once", "--deviations")
        assert run_notify("--url", server.url, *arguments).returncode == 0
        body = receiver.posts[0].json()
    assert re.fullmatch(
        r'WARNING say "hi" \\ 名前: performance_drop started: 100\.0% → 20\.0%, deviation [\d.]+', body["text"]
    )
    assert body["n"] > 2
    assert (body["cost"], body["t"]) == ("$5", DROP)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("$colour", r"unknown field \$colour in the template; available: \$id, \$event"),
        ("costs $5", r"write \$\$ for a dollar sign"),
        ('{"text": $text}', "starts like JSON but does not render valid JSON"),
        ("\udcff", "not UTF-8"),
        ("x" * 70000, "larger than 65536 bytes"),
    ],
)
def test_an_unusable_template_is_reported_at_start(template: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "template"
    path.write_text(template, encoding="utf-8", errors="surrogateescape")
    done = run_notify("--webhook", "http://x", "--template", str(path))
    assert done.returncode == 1
    assert re.search(reason, done.stderr)


def test_a_template_that_is_not_json_is_sent_as_text() -> None:
    body = Body("$skill is $event")
    assert body.content_type.startswith("text/plain")
    assert body(event(skill='a "b"')) == b'a "b" is started'
    assert Body().content_type == "application/json"


def test_sentences_have_the_unit_of_their_metric() -> None:
    assert sentence(event(type="pattern_shift", baseline=5.0, observed=15.25)) == (
        "mypy: pattern_shift started: 5 s → 15.2 s, deviation 2.7"
    )
    assert sentence(event()) == "mypy: performance_drop started: 90.0% → 55.0%, deviation 2.7"


# ---- Wrong use


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([], 2, "no receiver configured"),
        (["--command", "x", "--header-file", "y"], 2, "--header-file requires --webhook"),
        (["--command", ""], 1, "the command is empty"),
        (["--command", "'"], 1, "invalid command"),
        (["--command", "/no/such/program"], 1, "program not found: /no/such/program"),
        (["--webhook", "http://x", "--header-file", "missing"], 1, "missing"),
        (["--webhook", "http://x", "--template", "missing"], 1, "missing"),
        (["--webhook", "http://x", "--settle", "-1"], 2, "must be a number, 0 to 86400"),
        (["--webhook", "http://x", "--min-deviation", "nan"], 2, "must be a number, 0 or more"),
        (["--webhook", "http://x", "--max-attempts", "0"], 2, "must be an integer"),
        (["--webhook", "http://x", "--url", "ftp://x"], 1, "is not a server address"),
    ],
)
def test_invalid_arguments_are_reported(arguments: list[str], status: int, reason: str) -> None:
    done = run_notify(*arguments)
    assert done.returncode == status
    assert reason in done.stderr


def test_two_notifiers_do_not_share_a_state(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver, notifier(served.url, state, "--webhook", receiver.url):
        receiver.wait_for(("started", "mypy"))
        done = run_notify("--url", served.url, "--state", str(state), "--webhook", receiver.url)
        assert done.returncode == 1
        assert "another notifier uses" in done.stderr


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "{}", '{"version": 2, "episodes": [], "deliveries": []}',
     '{"version": 1, "episodes": [{"skill": 1}], "deliveries": []}',
     '{"version": 1, "episodes": [], "deliveries": [{"receiver": "webhook", "event": {}}]}'],
)  # fmt: skip
def test_a_file_that_is_not_a_state_is_reported_and_left_unchanged(content: str, state: Path) -> None:
    state.parent.mkdir()
    state.write_text(content)
    done = run_notify("--state", str(state), "--webhook", "http://x")
    assert done.returncode == 1
    assert "is not a notifier state file" in done.stderr
    assert state.read_text() == content


def test_the_state_is_in_the_users_state_directory(served: Server, isolated_environment: Path) -> None:
    with WebhookReceiver() as receiver:
        assert run_notify("--url", served.url, "--webhook", receiver.url, "--once", "--deviations").returncode == 0
    file = isolated_environment / "state" / "session-buddy" / "notify.json"
    assert [episode.skill for episode in StateFile(file).read().episodes] == ["mypy"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
