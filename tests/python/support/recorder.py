"""Programs that store invocations and acknowledge each one, and a class that starts them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

from session_buddy.storage import StorageError
from session_buddy.storage.skills_storage import SkillsStorage

BUSY_TIMEOUT = 20.0  # seconds


class Recorder:
    """A process that keeps a database open and stores one invocation for each `record`."""

    def __init__(self, db_path: Path) -> None:
        self._arguments = [sys.executable, __file__, str(db_path)]

    def __enter__(self) -> Recorder:
        self.process = subprocess.Popen(
            self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._answer() == "open"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, skill_name: str) -> str:
        """Returns "" for an invocation that was stored, or the reason why it was rejected."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{skill_name}\n")
        return self._answer()

    def record(self, skill_name: str) -> None:
        reason = self.ask(skill_name)
        assert not reason, reason

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")


def record_without_end(db_path: str, skill_name: str, acknowledged: str) -> None:
    """Appends an invocation's session to the file `acknowledged` only after `store_invocation` has returned."""
    file = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with SkillsStorage(db_path, busy_timeout=BUSY_TIMEOUT) as storage:
        for number in itertools.count():
            session = f"{os.getpid()}-{os.urandom(4).hex()}-{number}"
            storage.store_invocation(skill_name, session_id=session, completed=True, duration_seconds=1.0)
            os.write(file, f"{session}\n".encode())


def main() -> None:
    with SkillsStorage(sys.argv[1], busy_timeout=BUSY_TIMEOUT) as storage:
        print("open", flush=True)
        for line in sys.stdin:
            try:
                storage.store_invocation(line.rstrip("\n"), session_id="recorder", completed=True, duration_seconds=1.0)
            except StorageError as error:
                print(error, flush=True)
            else:
                print(flush=True)


if __name__ == "__main__":
    main()
