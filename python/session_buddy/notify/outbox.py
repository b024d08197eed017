"""Delivery queue: each receiver gets its events in order, with retries until it accepts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from session_buddy._backoff import full_jitter
from session_buddy._output import OutputError
from session_buddy.notify.episodes import Event
from session_buddy.notify.receivers import DeliveryError, PermanentDeliveryError, Receiver
from session_buddy.notify.state import Delivery

__all__ = ["Outbox"]

MAX_PENDING = 1000  # deliveries; beyond that the oldest is dropped
FIRST_DELAY = 1.0  # seconds, maximum wait before the first retry
MAX_DELAY = 60.0  # maximum wait before any retry
GRACE_SECONDS = 5.0  # for a delivery in progress at shutdown
MAX_RETRY_AFTER = 3600.0  # cap on Retry-After


class Outbox:
    """Pending deliveries. ``save`` is called after each change, so that a restart can resume them."""

    def __init__(
        self,
        receivers: Sequence[Receiver],
        *,
        max_attempts: int,
        save: Callable[[], object],
        log: Callable[[str], object],
    ) -> None:
        self._receivers = receivers
        self._max_attempts = max_attempts
        self._save = save
        self._log = log
        self._changed = asyncio.Condition()
        self.deliveries: list[Delivery] = []
        self.failed = 0  # deliveries dropped, or not accepted during flush()

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Restore deliveries of an earlier run; drop those for receivers that are no longer configured."""
        names = {receiver.name for receiver in self._receivers}
        for delivery in deliveries:
            if delivery.receiver in names:
                self.deliveries.append(delivery)
            else:
                self._log(f"dropped an event for the {delivery.receiver}, which is no longer configured")

    def add(self, events: Iterable[Event]) -> None:
        """Queue events for every receiver. The caller saves them, with the open episodes, before waking the workers."""
        for event in events:
            for receiver in self._receivers:
                if len(self.deliveries) >= MAX_PENDING:
                    lost = self.deliveries.pop(0)
                    self.failed += 1
                    self._log(f"{MAX_PENDING} events are pending for the {lost.receiver}: dropped the oldest")
                self.deliveries.append(Delivery(receiver.name, event))

    async def wake(self) -> None:
        """Wake the workers: new deliveries are queued and saved."""
        async with self._changed:
            self._changed.notify_all()

    async def run(self) -> None:
        """Deliver forever, with one worker per receiver, so that a receiver that is down does not block others."""
        await asyncio.gather(*(self._work(receiver) for receiver in self._receivers))

    async def flush(self) -> None:
        """Try each pending delivery once; after a failure, the rest of that receiver stays pending, in order."""
        for receiver in self._receivers:
            while (delivery := self._oldest(receiver)) is not None:
                try:
                    await self._attempt(receiver, delivery)
                except DeliveryError as error:
                    self.failed += 1
                    self._log(f"{receiver.name} {receiver}: {error}; will retry in the next run")
                    break

    async def _work(self, receiver: Receiver) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._oldest(receiver) is not None)
            delivery = self._oldest(receiver)
            if delivery is not None:
                await self._deliver_with_retries(receiver, delivery)

    async def _deliver_with_retries(self, receiver: Receiver, delivery: Delivery) -> None:
        for attempt in range(self._max_attempts):
            try:
                return await self._attempt(receiver, delivery)
            except DeliveryError as error:
                if attempt + 1 == self._max_attempts:
                    self._give_up(receiver, delivery, f"{error}, {self._max_attempts} times")
                    return None
                delay = full_jitter(FIRST_DELAY, MAX_DELAY, attempt) + min(MAX_RETRY_AFTER, error.retry_after or 0.0)
                self._log(f"{receiver.name} {receiver}: {error}; retry in {delay:.1f} s")
            await asyncio.sleep(delay)
            if delivery not in self.deliveries:
                return None  # dropped by add() because the queue was full
        return None

    async def _attempt(self, receiver: Receiver, delivery: Delivery) -> None:
        """One attempt. On cancellation, wait up to GRACE_SECONDS for the answer: else the event is sent twice."""
        work = asyncio.ensure_future(self._deliver(receiver, delivery))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work}, timeout=GRACE_SECONDS)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise

    async def _deliver(self, receiver: Receiver, delivery: Delivery) -> None:
        try:
            await receiver.deliver(delivery.event)
        except PermanentDeliveryError as error:
            self._give_up(receiver, delivery, str(error))
        except (DeliveryError, OutputError):  # OutputError: stdout of --dry-run cannot be written
            raise
        except Exception as error:
            # An unexpected error must not end the notifier: retry it like any other failure.
            raise DeliveryError(type(error).__name__) from error  # without its text, which may contain a URL or header
        else:
            self._remove(delivery)

    def _give_up(self, receiver: Receiver, delivery: Delivery, reason: str) -> None:
        self.failed += 1
        self._remove(delivery)
        event = delivery.event
        self._log(f"{receiver.name} {receiver}: {reason}; dropped: {event.skill!a} {event.type} {event.event}")

    def _remove(self, delivery: Delivery) -> None:
        if delivery in self.deliveries:
            self.deliveries.remove(delivery)
            self._save()

    def _oldest(self, receiver: Receiver) -> Delivery | None:
        return next((delivery for delivery in self.deliveries if delivery.receiver == receiver.name), None)
