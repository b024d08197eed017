"""Events on their way: each receiver gets them in order, again and again until it takes them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

from session_buddy.notify.episodes import Event
from session_buddy.notify.receivers import DeliveryError, PermanentDeliveryError, Receiver
from session_buddy.notify.state import Delivery

__all__ = ["Outbox"]

MAX_PENDING = 1000  # deliveries; beyond them the oldest is given up
FIRST_DELAY = 1.0  # seconds, the longest wait before the first repetition
MAX_DELAY = 60.0  # the longest before any
GRACE_SECONDS = 5.0  # that a delivery under way may take when the notifier is to end
MAX_RETRY_AFTER = 3600.0  # the longest that a receiver may ask for


class Outbox:
    """Deliveries that wait. ``save`` is called after each change; what it saves is delivered after a restart."""

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
        self.failed = 0  # deliveries that were given up, or not taken in time by flush()

    def restore(self, deliveries: Iterable[Delivery]) -> None:
        """Those of an earlier run, for receivers that are still there."""
        names = {receiver.name for receiver in self._receivers}
        for delivery in deliveries:
            if delivery.receiver in names:
                self.deliveries.append(delivery)
            else:
                self._log(f"an event for a {delivery.receiver} is given up: there is none any more")

    def add(self, events: Iterable[Event]) -> None:
        """For every receiver. The caller saves them, with what it knows besides, before they go."""
        for event in events:
            for receiver in self._receivers:
                if len(self.deliveries) >= MAX_PENDING:
                    lost = self.deliveries.pop(0)
                    self.failed += 1
                    self._log(f"{MAX_PENDING} events wait for the {lost.receiver}: the oldest is given up")
                self.deliveries.append(Delivery(receiver.name, event))

    async def wake(self) -> None:
        """There are new ones, and they are saved."""
        async with self._changed:
            self._changed.notify_all()

    async def run(self) -> None:
        """Without end: one worker for each receiver, so that one that is down holds up no other."""
        await asyncio.gather(*(self._work(receiver) for receiver in self._receivers))

    async def flush(self) -> None:
        """Each that waits is tried once; what a receiver does not take now stays, and what comes after it as well."""
        for receiver in self._receivers:
            while (delivery := self._oldest(receiver)) is not None:
                try:
                    await self._attempt(receiver, delivery)
                except DeliveryError as error:
                    self.failed += 1
                    self._log(f"{receiver.name} {receiver}: {error}; tried again next time")
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
                # Full jitter, as many notifiers may have lost one receiver together.
                delay = random.uniform(0, min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 30)))  # noqa: S311
                delay += min(MAX_RETRY_AFTER, error.retry_after or 0.0)
                self._log(f"{receiver.name} {receiver}: {error}; again in {delay:.1f} s")
            await asyncio.sleep(delay)
            if delivery not in self.deliveries:
                return None  # it had to make room
        return None

    async def _attempt(self, receiver: Receiver, delivery: Delivery) -> None:
        """Where it is cancelled, an answer may be on its way: without it the event would be sent once more."""
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
        except (DeliveryError, BrokenPipeError):  # the latter of --dry-run, whose reader is gone
            raise
        except Exception as error:
            # One that nobody thought of must not end the notifier: the event is still the first after a restart.
            raise DeliveryError(type(error).__name__) from error  # its text may hold an address or header
        else:
            self._remove(delivery)

    def _give_up(self, receiver: Receiver, delivery: Delivery, reason: str) -> None:
        self.failed += 1
        self._remove(delivery)
        event = delivery.event
        self._log(f"{receiver.name} {receiver}: {reason}; given up: {event.skill!a} {event.type} {event.event}")

    def _remove(self, delivery: Delivery) -> None:
        if delivery in self.deliveries:
            self.deliveries.remove(delivery)
            self._save()

    def _oldest(self, receiver: Receiver) -> Delivery | None:
        return next((delivery for delivery in self.deliveries if delivery.receiver == receiver.name), None)
