"""What a notifier has told and still has to tell, in a file that outlives it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from session_buddy.notify.episodes import Episode, Event

__all__ = ["Delivery", "State", "StateFile", "default_path"]

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Delivery:
    """An event that one receiver has not taken yet."""

    receiver: str  # webhook or command
    event: Event


@dataclass(frozen=True)
class State:
    """All that is kept."""

    episodes: tuple[Episode, ...] = ()
    deliveries: tuple[Delivery, ...] = ()  # the oldest first


class StateFile:
    """Read once, then replaced as a whole: a reader, or the next start, sees the old state or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While it is in use. Raises OSError where another notifier uses it, or where it cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the file, as that is replaced again and again.
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(f"another notifier uses {self._path}: give each its own --state") from None
            yield

    def read(self) -> State:
        """Empty where there is no file yet. Raises OSError or ValueError where there is another one than it wrote."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return State()
        try:
            if len(data) > MAX_BYTES:
                raise ValueError(f"it is over {MAX_BYTES} bytes")
            kept = json.loads(data)
            if kept["version"] != VERSION:
                raise ValueError(f"it is of version {kept['version']}")
            return State(
                tuple(Episode.from_dict(episode) for episode in kept["episodes"]),
                tuple(Delivery(str(one["receiver"]), Event.from_dict(one["event"])) for one in kept["deliveries"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{self._path} is no state of a notifier ({error}): move it away, and what is open is told again"
            ) from error

    def write(self, episodes: Iterable[Episode], deliveries: Iterable[Delivery]) -> None:
        """Returns when it is on the disk. Raises OSError, the old state then being there still."""
        kept = {
            "version": VERSION,
            "episodes": [episode.as_dict() for episode in episodes],
            "deliveries": [{"receiver": one.receiver, "event": one.event.as_dict()} for one in deliveries],
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
    """In the user's folder for states."""
    home = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return folder / "session-buddy" / "notify.json"
