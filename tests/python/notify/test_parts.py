"""Units of the notifier: the queue of deliveries, the state file and HTTP details."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy.notify.body import Body
from session_buddy.notify.episodes import Event, Tracker
from session_buddy.notify.outbox import MAX_PENDING, Outbox
from session_buddy.notify.receivers import DeliveryError, PermanentDeliveryError, Webhook, _seconds, read_headers
from session_buddy.notify.state import Delivery, StateFile
from support.notifier import event, update
from support.processes import DEADLINE
from support.receiver import WebhookReceiver
from support.tokens import write_secret


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
