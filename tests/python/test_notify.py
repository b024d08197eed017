"""`session-buddy notify` as a process, with real servers, and with webhooks and commands that fail."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import json
import os
import random
import re
import shlex
import signal
import stat
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy.client import Anomaly, AnomalyDetails, MetricsUpdate, connect_sync
from session_buddy.notify.body import Body, sentence
from session_buddy.notify.episodes import Event, Tracker
from session_buddy.notify.outbox import MAX_PENDING, Outbox
from session_buddy.notify.receivers import DeliveryError, PermanentDeliveryError, Webhook, _seconds, read_headers
from session_buddy.notify.state import Delivery, StateFile
from support import tools
from support.paths import ROOT
from support.processes import DEADLINE, Program, Server, wait_until
from support.receiver import Answer, WebhookReceiver
from support.reverse_proxy import free_port
from support.streams import behave, make_database
from support.tokens import READER, write_secret

COMMAND = str(Path(sys.executable).parent / "session-buddy")
DROP = "performance_drop"


@pytest.fixture
def failing(db_path: Path) -> Path:
    """A database in which mypy fails and ruff-check does not."""
    make_database(db_path)
    behave(db_path, failing=["mypy"], well=["ruff-check"])
    return db_path


@pytest.fixture
def served(failing: Path) -> Iterator[Server]:
    with Server(failing, interval="50ms") as server:
        yield server


def heal(path: Path) -> None:
    behave(path, well=["mypy", "ruff-check"])


def notifier(server: str, state: Path, *arguments: str, env: dict[str, str] | None = None) -> Program:
    """A notifier that sends an end after a second."""
    words = [COMMAND, "notify", "--url", server, "--state", str(state), "--settle", "1", *arguments]
    return Program(words, env=env)


def run_notify(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "notify", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "notify.json"


# ---- What is sent


def test_a_start_and_an_end_are_sent_once(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver, notifier(served.url, state, "--webhook", receiver.url) as notify:
        receiver.wait_for(("started", "mypy"))
        heal(served.db_path)
        receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))
        behave(served.db_path, failing=["mypy", "ruff-check"])
        wait_until(lambda: len(receiver.posts) == 4, "both events have failed")
        assert notify.stop(signal.SIGTERM) == 0
    started, resolved, *others = receiver.accepted
    assert {body["skill"] for body in others} == {"mypy", "ruff-check"}
    assert list(started) == [
        "id", "event", "severity", "skill", "type", "baseline", "observed", "deviation", "since", "timestamp",
    ]  # fmt: skip
    assert (started["severity"], started["type"], started["baseline"]) == ("WARNING", DROP, 1.0)
    assert started["observed"] == pytest.approx(0.2)
    assert started["deviation"] > 2
    assert started["since"] <= started["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", started["timestamp"])
    assert (resolved["severity"], resolved["since"]) == ("INFO", started["since"])
    assert len({body["id"] for body in receiver.accepted}) == 4
    headers = receiver.posts[0].headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == started["id"]


def test_only_chosen_skills_and_deviations_are_sent(db_path: Path, state: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=["mypy", "ruff-check"])
    with Server(db_path, interval="50ms") as server, WebhookReceiver() as receiver:
        with notifier(server.url, state, "--webhook", receiver.url, "--skill", "ruff-check"):
            receiver.wait_for(("started", "ruff-check"))
        done = run_notify("--url", server.url, "--dry-run", "--once", "--min-deviation", "1e9")
        assert (done.returncode, done.stdout) == (0, "")


def test_an_anomaly_open_at_start_is_sent_once(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        with notifier(served.url, state, "--webhook", receiver.url) as notify:
            receiver.wait_for(("started", "mypy"))
            assert notify.stop(signal.SIGINT) == 0
        again = ("--url", served.url, "--state", str(state), "--webhook", receiver.url, "--once")
        assert run_notify(*again).returncode == 0
        assert receiver.events() == [("started", "mypy")]


# ---- Kills, restarts, lost connections


def test_after_a_kill_between_start_and_end_the_next_notifier_sends_the_end(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        with notifier(served.url, state, "--webhook", receiver.url):
            receiver.wait_for(("started", "mypy"))
            wait_until(lambda: not StateFile(state).read().deliveries, "it has recorded the delivery")
        heal(served.db_path)
        with notifier(served.url, state, "--webhook", receiver.url):
            receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))


def test_an_unavailable_or_restarted_server_is_neither_an_end_nor_a_start(failing: Path, state: Path) -> None:
    port = free_port()
    with WebhookReceiver() as receiver, notifier(f"localhost:{port}", state, "--webhook", receiver.url) as notify:
        for _ in range(3):
            with Server(failing, port=port, interval="50ms") as server:
                notify.wait_for("reconnected") if receiver.posts else receiver.wait_for(("started", "mypy"))
                server.stop(signal.SIGKILL)
            notify.wait_for("reconnecting: ")
        with Server(failing, port=port, interval="50ms"):
            notify.wait_for("reconnected")
            heal(failing)
            receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))


def test_after_a_lost_connection_an_end_settles_again(failing: Path, state: Path) -> None:
    port = free_port()
    with WebhookReceiver() as receiver:
        at = ("--webhook", receiver.url, "--settle", "3")
        with Server(failing, port=port, interval="50ms") as server, notifier(server.url, state, *at) as notify:
            receiver.wait_for(("started", "mypy"))
            heal(failing)
            with connect_sync(server.url) as client:
                updates = client.subscribe()
                wait_until(lambda: not next(updates).anomalies, "the anomaly has ended")
                away = next(updates).timestamp
                wait_until(lambda: next(updates).timestamp > away, "a second has passed")
            server.stop(signal.SIGKILL)
            notify.wait_for("reconnecting: ")
            again = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            with Server(failing, port=port, interval="50ms"):
                receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))
        assert receiver.accepted[1]["timestamp"] >= again


def test_undelivered_events_survive_a_kill(served: Server, state: Path) -> None:
    port = free_port()
    at = f"http://127.0.0.1:{port}/hook"
    with notifier(served.url, state, "--webhook", at) as notify:
        notify.wait_for(r"webhook http://127.0.0.1:\d+/…: ConnectError")
        heal(served.db_path)
        wait_until(lambda: len(StateFile(state).read().deliveries) == 2, "both deliveries are queued")
    with WebhookReceiver(port=port) as receiver, notifier(served.url, state, "--webhook", at):
        receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))


def test_each_start_and_each_end_is_sent_under_random_kills(failing: Path, state: Path) -> None:
    """Only an event whose delivery was not recorded before a kill is sent again, with its id."""
    dice = random.Random(20260213)
    port = free_port()
    changes = 6
    with (
        WebhookReceiver(lambda number: (503 if number % 3 == 1 else 204, {})) as receiver,
        contextlib.ExitStack() as all_,
    ):
        server = all_.enter_context(Server(failing, port=port, interval="50ms"))
        arguments = ("--webhook", receiver.url)
        notify = all_.enter_context(notifier(server.url, state, *arguments))

        def events() -> list[tuple[str, str]]:
            return list({body["id"]: (body["event"], body["skill"]) for body in receiver.accepted}.items())

        for change in range(changes):
            if change:
                behave(failing, failing=["mypy"]) if change % 2 == 0 else heal(failing)
            end = time.monotonic() + DEADLINE
            while len(events()) <= change:
                assert time.monotonic() < end, f"change {change} is sent; {events()}"
                if dice.random() < 0.15:
                    notify.stop(signal.SIGKILL)
                    notify = all_.enter_context(notifier(server.url, state, *arguments))
                if dice.random() < 0.05:
                    server.stop(signal.SIGKILL)
                    server = all_.enter_context(Server(failing, port=port, interval="50ms"))
                time.sleep(dice.uniform(0.2, 1.0))
        assert [event for _, event in events()] == [("started", "mypy"), ("resolved", "mypy")] * (changes // 2)


# ---- Failing receivers


def test_a_receiver_that_fails_at_first_gets_the_events_in_order(served: Server, state: Path) -> None:
    def fails_twice(number: int) -> Answer:
        return (503 if number < 2 else 200), {}

    with WebhookReceiver(fails_twice) as receiver, notifier(served.url, state, "--webhook", receiver.url) as notify:
        notify.wait_for(r"HTTP 503; retry in \d")
        heal(served.db_path)
        receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))
        assert [post.json()["id"] for post in receiver.posts[:3]] == [receiver.posts[0].json()["id"]] * 3


def test_retry_after_is_honoured(served: Server, state: Path) -> None:
    def busy_once(number: int) -> Answer:
        return (429, {"Retry-After": "2"}) if number == 0 else (204, {})

    with WebhookReceiver(busy_once) as receiver, notifier(served.url, state, "--webhook", receiver.url):
        receiver.wait_for(("started", "mypy"))
        assert receiver.posts[1].at - receiver.posts[0].at >= 2


def test_a_delivery_that_times_out_is_retried(served: Server, state: Path) -> None:
    def slow_once(number: int) -> Answer:
        if number == 0:
            time.sleep(1)
        return 204, {}

    arguments = ("--timeout", "0.3", "--webhook")
    with WebhookReceiver(slow_once) as receiver, notifier(served.url, state, *arguments, receiver.url) as notify:
        notify.wait_for(r"no answer within 0\.3 seconds; retry in")
        wait_until(lambda: len(receiver.posts) >= 2, "the delivery is retried")


@pytest.mark.parametrize(("status", "reason"), [(400, "HTTP 400"), (404, "HTTP 404"), (302, "a redirect")])
def test_a_rejected_event_is_dropped_and_the_next_one_is_sent(
    served: Server, state: Path, status: int, reason: str
) -> None:
    with WebhookReceiver() as elsewhere:

        def reject_first(number: int) -> Answer:
            return (status, {"Location": elsewhere.url}) if number == 0 else (204, {})

        with (
            WebhookReceiver(reject_first) as receiver,
            notifier(served.url, state, "--webhook", receiver.url) as notify,
        ):
            notify.wait_for(rf"{reason}.*dropped: 'mypy' {DROP} started")
            heal(served.db_path)
            receiver.wait_for(("resolved", "mypy"))
        assert elsewhere.posts == []


def test_attempts_are_bounded(served: Server, state: Path) -> None:
    with WebhookReceiver(lambda number: (500, {})) as receiver:
        with notifier(served.url, state, "--webhook", receiver.url, "--max-attempts", "2") as notify:
            notify.wait_for("HTTP 500, 2 times; dropped")
        assert len(receiver.posts) == 2
    assert StateFile(state).read().deliveries == ()


def test_a_receiver_that_is_down_does_not_delay_the_others(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "cat > received")
    with notifier(served.url, state, "--webhook", f"http://127.0.0.1:{free_port()}/", "--command", program):
        wait_until(
            lambda: (tmp_path / "received").exists() and (tmp_path / "received").stat().st_size > 0, "it has run"
        )


# ---- Secrets


def test_secrets_reach_the_receiver_and_no_output(served: Server, state: Path, tmp_path: Path) -> None:
    headers = write_secret(
        tmp_path / "headers", "# for us\n\nX-Api-Key: SECRET-HEADER\nContent-Type: application/x-me\n"
    )
    with WebhookReceiver(lambda number: (500 if number == 0 else 204, {})) as receiver:
        env = {"SESSION_BUDDY_WEBHOOK": receiver.url, "SESSION_BUDDY_WEBHOOK_AUTHORIZATION": "Bearer SECRET-ENV"}
        with notifier(served.url, state, "--header-file", str(headers), env=env) as notify:
            receiver.wait_for(("started", "mypy"))
            assert notify.stop(signal.SIGTERM) == 0
        sent = receiver.posts[0]
    assert sent.path.endswith("SECRET-PATH?key=SECRET-KEY")
    assert sent.headers["Authorization"] == "Bearer SECRET-ENV"
    assert sent.headers["X-Api-Key"] == "SECRET-HEADER"
    assert sent.headers["Content-Type"] == "application/x-me"
    output = "\n".join([*notify.seen, *notify.drain()])
    assert "HTTP 500" in output
    assert "SECRET" not in output
    assert "SECRET" not in state.read_text()


def test_errors_of_a_connection_do_not_name_the_secret_either(served: Server, state: Path) -> None:
    for url in ("http://127.0.0.1:1/SECRET", "http://user:SECRET@127.0.0.1:1/", "https://127.0.0.1:1/SECRET"):
        done = run_notify("--url", served.url, "--once", "--state", str(state), "--webhook", url)
        assert done.returncode == 1
        assert "127.0.0.1:1/…: Connect" in done.stderr
        assert "SECRET" not in done.stderr
    for url in ("ftp://x/SECRET", "file:///SECRET", "SECRET", "http://x:SECRET/"):
        done = run_notify("--webhook", url)
        assert done.returncode == 2
        assert "the webhook URL " in done.stderr
        assert "SECRET" not in done.stderr


def test_blanks_around_secrets_are_stripped(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        env = {
            "SESSION_BUDDY_WEBHOOK": f" {receiver.url}\n",
            "SESSION_BUDDY_WEBHOOK_AUTHORIZATION": "Bearer SECRET-ENV \n",
        }
        done = run_notify("--url", served.url, "--state", str(state), "--once", env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert receiver.posts[0].headers["Authorization"] == "Bearer SECRET-ENV"


@pytest.mark.parametrize(
    "address",
    ["http://h\x01/SECRET", "http://h/SECRET\u200b", "http://a\u200bb/SECRET", "http://h/SECRET x", "http://xn--a/SECRET",
     "http://a..b/SECRET", "http://ü..x/SECRET", "http://256.1.1.1/SECRET", "http://h:99999/SECRET", "http:///SECRET"],
)  # fmt: skip
def test_an_unusable_address_is_reported_at_start_without_its_secret(address: str) -> None:
    with pytest.raises(ValueError, match="webhook URL") as caught:
        Webhook(address, Body(), headers={}, timeout=1)
    assert "SECRET" not in str(caught.value)


async def test_an_invalid_header_is_reported_without_its_value() -> None:
    with WebhookReceiver() as receiver:
        webhook = Webhook(receiver.url, Body(), headers={"Authorization": "Bearer SECRET "}, timeout=DEADLINE)
        with pytest.raises(DeliveryError, match=r"^LocalProtocolError$"):
            await webhook.deliver(event())


def test_control_characters_in_the_authorization_are_rejected_at_start() -> None:
    env = {"SESSION_BUDDY_WEBHOOK": "http://h/", "SESSION_BUDDY_WEBHOOK_AUTHORIZATION": "Bearer SECRET\r\nX-Evil: 1"}
    done = run_notify(env=env)
    assert done.returncode == 2
    assert "SESSION_BUDDY_WEBHOOK_AUTHORIZATION: the value of Authorization must be printable" in done.stderr
    assert "SECRET" not in done.stderr


def test_it_sends_its_token(failing: Path, state: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{READER}\n")
    with Server(failing, "--auth-token-file", str(tokens)) as server, WebhookReceiver() as receiver:
        refused = run_notify("--url", server.url, "--state", str(state), "--webhook", receiver.url)
        assert refused.returncode == 1
        assert "4401" in refused.stderr
        with notifier(server.url, state, "--webhook", receiver.url, "--token-file", str(tokens)):
            receiver.wait_for(("started", "mypy"))


# ---- Commands


def script(folder: Path, text: str) -> str:
    """A program in this folder, which is its working directory."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\ncd '{folder}' || exit 9\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_command_gets_values_in_its_environment_and_json_on_its_input(
    db_path: Path, state: Path, tmp_path: Path
) -> None:
    hostile = 'a; touch pwned "$(touch pwned)" \u202e[red]'
    make_database(db_path)
    behave(db_path, failing=[hostile])
    program = script(tmp_path, "env > environment.new; cat > input; mv environment.new environment; echo some output")
    env = {"SESSION_BUDDY_TOKEN": "not-for-it", "SESSION_BUDDY_WEBHOOK_AUTHORIZATION": "not-for-it"}
    with Server(db_path) as server, notifier(server.url, state, "--command", program, env=env) as notify:
        notify.wait_for("^some output$")
        wait_until(lambda: not StateFile(state).read().deliveries, "the event is delivered")
    event = json.loads((tmp_path / "input").read_bytes())
    assert event["skill"] == hostile
    environment = (tmp_path / "environment").read_text(encoding="utf-8").splitlines()
    assert "not-for-it" not in "\n".join(environment)
    for name, value in event.items():
        variable = "SESSION_BUDDY_EVENT_ID" if name == "id" else f"SESSION_BUDDY_{name.upper()}"
        assert f"{variable}={value}" in environment
    assert not (tmp_path / "pwned").exists()


def test_a_command_has_arguments_but_no_shell(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, 'printf "%s|" "$@" > arguments.new; mv arguments.new arguments')
    with notifier(served.url, state, "--command", f"{program} 'two words' $HOME `id` >x"):
        wait_until((tmp_path / "arguments").exists, "the command has run")
    assert (tmp_path / "arguments").read_text() == "two words|$HOME|`id`|>x|"


def test_a_failed_command_is_retried(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, 'echo x >> runs; test "$(wc -l < runs)" -ge 3')
    with notifier(served.url, state, "--command", program) as notify:
        notify.wait_for("command .*program: exit status 1; retry in")
        wait_until(lambda: state.exists() and not StateFile(state).read().deliveries, "the event is delivered")
    assert (tmp_path / "runs").read_text() == "x\nx\nx\n"


def test_a_command_that_times_out_is_killed_with_its_children(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "sleep 600 & echo $! > child.new; mv child.new child; wait")
    with notifier(served.url, state, "--command", program, "--timeout", "0.5") as notify:
        notify.wait_for("timed out after 0.5 seconds; retry in")
        child = int((tmp_path / "child").read_text())
        wait_until(lambda: not is_running(child), "the child has ended")


def test_a_running_command_ends_with_the_notifier_and_is_retried(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "echo $$ > running.new; mv running.new running; exec sleep 600")
    with notifier(served.url, state, "--command", program) as notify:
        wait_until((tmp_path / "running").exists, "the command runs")
        assert notify.stop(signal.SIGTERM) == 0
        wait_until(lambda: not is_running(int((tmp_path / "running").read_text())), "the command has ended")
    assert len(StateFile(state).read().deliveries) == 1


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_shutdown_waits_for_a_delivery_in_flight(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo x >> received")
    with notifier(served.url, state, "--command", program) as notify:
        wait_until((tmp_path / "begun").exists, "the command runs")
        notify.process.send_signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        assert notify.process.wait(DEADLINE) == 0
    assert (tmp_path / "received").read_text() == "x\n"
    assert StateFile(state).read().deliveries == ()


# ---- --once and --dry-run


def test_once_sends_what_changed_since_the_last_run(served: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        once = ("--url", served.url, "--state", str(state), "--settle", "1", "--webhook", receiver.url, "--once")
        for _ in range(2):
            assert run_notify(*once).returncode == 0
            assert receiver.events() == [("started", "mypy")]
        heal(served.db_path)
        wait_until(lambda: run_notify(*once).returncode == 0 and len(receiver.posts) > 1, "the end is sent")
        assert receiver.events() == [("started", "mypy"), ("resolved", "mypy")]


def test_once_keeps_undelivered_events_for_the_next_run(served: Server, state: Path) -> None:
    port = free_port()
    once = ("--url", served.url, "--state", str(state), "--webhook", f"http://127.0.0.1:{port}/", "--once")
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
        done = run_notify("--url", served.url, "--state", str(state), "--dry-run", "--once")
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
            done = run_notify("--url", server.url, "--state", str(state), "--dry-run", "--once", *options)
            assert (done.returncode, done.stderr) == (0, "")
            assert "a\\u202eb" in done.stdout
            assert all(character.isprintable() or character == "\n" for character in done.stdout)


# ---- Templates


def test_a_template_renders_the_body(db_path: Path, state: Path, tmp_path: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=['say "hi" \\ 名前'])
    template = tmp_path / "slack.json"
    template.write_text('{"text": "$severity $text", "n": $deviation, "cost": "$$5", "t": "${type}"}', encoding="utf-8")
    with Server(db_path) as server, WebhookReceiver() as receiver:
        arguments = ("--state", str(state), "--webhook", receiver.url, "--template", str(template), "--once")
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
        (["--webhook", "http://x", "--url", "ftp://x"], 1, "is no address"),
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
        assert run_notify("--url", served.url, "--webhook", receiver.url, "--once").returncode == 0
    file = isolated_environment / "state" / "session-buddy" / "notify.json"
    assert [episode.skill for episode in StateFile(file).read().episodes] == ["mypy"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


# ---- Episodes, with a clock


START = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)


def update(seconds: float, *skills: str, since: datetime = START, deviation: float = 3.0) -> MetricsUpdate:
    """An update at so many seconds, with an anomaly of each of these skills."""
    details = AnomalyDetails(80, 20, -deviation, 0.001, since, ())
    anomalies = tuple(Anomaly(skill, DROP, 0.9, 0.5, deviation, details) for skill in skills)
    return MetricsUpdate(START + timedelta(seconds=seconds), (), anomalies)


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


# ---- Parts


def event(**changes: Any) -> Event:
    values = {
        "id": "1",
        "event": "started",
        "severity": "WARNING",
        "skill": "mypy",
        "type": DROP,
        "baseline": 0.9,
        "observed": 0.55,
        "deviation": 2.7,
        "since": "2026-02-10T11:40:02Z",
        "timestamp": "2026-02-10T12:00:00Z",
    }
    return Event(**{**values, **changes})


def test_queued_events_are_bounded_and_the_newest_stay() -> None:
    class NoReceiver:
        name = "webhook"

        async def deliver(self, event: Event) -> None:
            raise AssertionError("it is not run")

    said: list[str] = []
    outbox = Outbox([NoReceiver()], max_attempts=1, save=lambda: None, log=said.append)
    outbox.add(event(id=str(number)) for number in range(MAX_PENDING + 3))
    assert len(outbox.deliveries) == MAX_PENDING
    assert outbox.deliveries[-1].event.id == str(MAX_PENDING + 2)
    assert (len(said), outbox.failed) == (3, 3)


async def test_an_exception_in_a_delivery_counts_as_failed_and_the_next_one_is_made() -> None:
    class Faulty:
        name = "webhook"

        async def deliver(self, event: Event) -> None:
            if event.id == "faulty":
                raise KeyError("SECRET")
            taken.set_result(event.id)

    said: list[str] = []
    taken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    outbox = Outbox([Faulty()], max_attempts=1, save=lambda: None, log=said.append)
    outbox.add([event(id="faulty"), event(id="2")])
    running = asyncio.create_task(outbox.run())
    await asyncio.wait({running, taken}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert (taken.result(), outbox.deliveries, outbox.failed) == ("2", [], 1)
    assert "KeyError" in said[0]
    assert "SECRET" not in said[0]


def test_a_state_is_read_as_it_was_written_and_an_old_one_stays_where_it_cannot_be_replaced(state: Path) -> None:
    file = StateFile(state)
    assert file.read().episodes == ()
    tracker = Tracker(settle=0)
    tracker.process(update(0, "a", "名前 \"'"))
    tracker.process(update(1, "a"))
    deliveries = [Delivery("webhook", event(skill="\U0001f680"))]
    with file.locked():
        file.write(tracker.episodes.values(), deliveries)
        read = file.read()
        assert list(read.episodes) == list(tracker.episodes.values())
        assert list(read.deliveries) == deliveries
        with pytest.raises(TypeError):
            file.write(tracker.episodes.values(), [Delivery("webhook", event(skill=object()))])
        assert file.read() == read
    assert sorted(path.name for path in state.parent.iterdir()) == ["notify.json", "notify.json.lock"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("3", 3.0), ("0", None), ("-1", None), ("inf", None), ("nan", None), ("soon", None),
     ("Tue, 10 Feb 1970 12:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_a_number_of_seconds(text: str | None, seconds: float | None) -> None:
    assert _seconds(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    at = datetime.now(timezone.utc) + timedelta(seconds=90)
    seconds = _seconds(at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert seconds is not None
    assert 80 < seconds <= 90


@pytest.mark.parametrize(
    "line", ["no colon", ": value", "Na me: x", "Name:", "Name: \u00e9", "Name: a\tb",
             "content-length: 3", "Host: x", "Transfer-Encoding: chunked", "Connection: close"],
)  # fmt: skip
def test_malformed_headers_are_rejected_without_showing_their_value(line: str, tmp_path: Path) -> None:
    path = write_secret(tmp_path / "headers", f"X-Good: SECRET\n{line}\n")
    with pytest.raises(ValueError, match="line 2") as caught:
        read_headers(path)
    assert "SECRET" not in str(caught.value)


async def test_responses_are_classified() -> None:
    answers = {200: None, 204: None, 408: DeliveryError, 425: DeliveryError, 429: DeliveryError, 500: DeliveryError,
               503: DeliveryError, 301: PermanentDeliveryError, 400: PermanentDeliveryError,
               401: PermanentDeliveryError, 410: PermanentDeliveryError}  # fmt: skip
    statuses = list(answers)
    with WebhookReceiver(lambda number: (statuses[number], {})) as receiver:
        webhook = Webhook(receiver.url, Body(), headers={}, timeout=DEADLINE)
        for error in answers.values():
            with contextlib.nullcontext() if error is None else pytest.raises(error):
                await webhook.deliver(event())


# ---- As a service


def test_systemd_finds_no_error_in_the_unit(tmp_path: Path) -> None:
    installed = "/opt/session-buddy/bin/session-buddy"
    text = (ROOT / "docs" / "deploy" / "session-buddy-notify.service").read_text(encoding="utf-8")
    assert text.count(installed) == 1
    unit = tmp_path / "session-buddy-notify.service"
    unit.write_text(text.replace(installed, COMMAND), encoding="utf-8")
    done = subprocess.run(
        [tools.systemd_analyze(), "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_command_of_the_unit_works(served: Server, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    text = (ROOT / "docs" / "deploy" / "session-buddy-notify.service").read_text(encoding="utf-8")
    unit.read_string(text.replace("\\\n", " "))
    write_secret(tmp_path / "token", READER)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    words = [string.Template(word).substitute(environment) for word in shlex.split(unit["Service"]["ExecStart"])]
    words = [COMMAND, *words[1:]]
    words[words.index("http://localhost:8765")] = served.url
    with WebhookReceiver() as receiver, Program(words, env={"SESSION_BUDDY_WEBHOOK": receiver.url}):
        receiver.wait_for(("started", "mypy"))
    assert (tmp_path / "notify.json").exists()
