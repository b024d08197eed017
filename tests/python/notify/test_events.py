"""`session-buddy notify` with a real server: what it sends, also over kills, restarts and lost connections."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from session_buddy.client import connect_sync
from session_buddy.notify.state import StateFile
from support.notifier import DROP, heal, notifier, run_notify
from support.processes import DEADLINE, Server, wait_until
from support.receiver import WebhookReceiver
from support.reverse_proxy import free_port
from support.streams import behave, make_database

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
        again = ("--url", served.url, "--state", str(state), "--webhook", receiver.url, "--once", "--deviations")
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
