"""Persistent state of a notifier: open alerts and anomalies, and pending deliveries."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from session_buddy.notify.alerts import SentAlert
from session_buddy.notify.episodes import Episode, Event

__all__ = ["Delivery", "State", "StateFile", "default_path"]

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Delivery:
    """An event that one receiver has not accepted yet."""

    receiver: str  # webhook or command
    event: Event


@dataclass(frozen=True)
class State:
    """The content of the state file."""

    episodes: tuple[Episode, ...] = ()
    deliveries: tuple[Delivery, ...] = ()  # oldest first
    alerts: tuple[SentAlert, ...] = ()  # files of earlier versions have none


class StateFile:
    """Read once, then replaced atomically: a reader or a restart sees the old state or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the file. Raises OSError if another notifier holds it, or if it cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A separate lock file, because the state file itself is replaced.
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(f"another notifier uses {self._path}: give each one its own --state") from None
            yield

    def read(self) -> State:
        """The state; empty without a file. Raises OSError, or ValueError if the file is not a state file."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return State()
        try:
            if len(data) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
            kept = json.loads(data)
            if kept["version"] != VERSION:
                raise ValueError(f"unsupported version {kept['version']}")
            return State(
                tuple(Episode.from_dict(episode) for episode in kept["episodes"]),
                tuple(Delivery(str(one["receiver"]), Event.from_dict(one["event"])) for one in kept["deliveries"]),
                tuple(SentAlert.from_dict(alert) for alert in kept.get("alerts", [])),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{self._path} is not a notifier state file ({error}): move it away; open alerts are then sent again"
            ) from error

    def write(
        self, episodes: Iterable[Episode], deliveries: Iterable[Delivery], alerts: Iterable[SentAlert] = ()
    ) -> None:
        """Write and fsync. Raises OSError, which leaves the old state in the file."""
        kept = {
            "version": VERSION,
            "episodes": [episode.as_dict() for episode in episodes],
            "deliveries": [{"receiver": one.receiver, "event": one.event.as_dict()} for one in deliveries],
            "alerts": [alert.as_dict() for alert in alerts],
        }
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(kept).encode())
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def default_path() -> Path:
    """The state file in the user's XDG state directory."""
    home = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return folder / "session-buddy" / "notify.json"
