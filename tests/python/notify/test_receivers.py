"""Webhook receivers that fail, time out or reject; secrets that no output shows."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from session_buddy.notify.body import Body
from session_buddy.notify.receivers import DeliveryError, Webhook
from session_buddy.notify.state import StateFile
from support.notifier import DROP, event, heal, notifier, run_notify, script
from support.processes import DEADLINE, Server, wait_until
from support.receiver import Answer, WebhookReceiver
from support.reverse_proxy import free_port
from support.tokens import READER, write_secret

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
        done = run_notify("--url", served.url, "--once", "--deviations", "--state", str(state), "--webhook", url)
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
        done = run_notify("--url", served.url, "--state", str(state), "--once", "--deviations", env=env)
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
        rejected = run_notify("--url", server.url, "--state", str(state), "--webhook", receiver.url)
        assert rejected.returncode == 1
        assert "4401" in rejected.stderr
        with notifier(server.url, state, "--webhook", receiver.url, "--token-file", str(tokens)):
            receiver.wait_for(("started", "mypy"))
