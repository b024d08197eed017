"""docs/deploy/session-buddy.service: systemd accepts it, its exposure is as documented, and its commands work."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import stat
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import tools
from support.histories import fill, invocations
from support.paths import ROOT
from support.processes import DEADLINE, ServerProcess, native_binary
from support.service_manager import ServiceManager
from support.tokens import write_secret

UNIT = ROOT / "docs" / "deploy" / "session-buddy.service"
INSTALLED = "/usr/local/bin/session-buddy-server"


def unit_text() -> str:
    """The unit with the binary of this environment instead of an installed one."""
    text = UNIT.read_text(encoding="utf-8")
    assert text.count(INSTALLED) == 1
    return text.replace(INSTALLED, native_binary())


def setting(name: str) -> str:
    """The value of a setting under [Service]."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit_text().replace("\\\n", " "))
    return parser["Service"][name]


def analyze(*arguments: str) -> str:
    result = subprocess.run(
        [tools.systemd_analyze(), *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_systemd_finds_no_error(tmp_path: Path) -> None:
    file = tmp_path / UNIT.name
    file.write_text(unit_text(), encoding="utf-8")
    assert analyze("verify", "--man=no", str(file)) == ""


def test_the_exposure_is_as_documented() -> None:
    page = " ".join((ROOT / "docs" / "how-to" / "deployment.md").read_text(encoding="utf-8").split())
    quoted = {
        version: (level, word) for level, word, version in re.findall(r"([\d.]+) \(([A-Z]+)\) with systemd (\d+)", page)
    }
    assert set(quoted) == {"252", "257"}
    found = re.search(
        r"exposure level for session-buddy.service: ([\d.]+) (\w+)", analyze("security", "--offline=true", str(UNIT))
    )
    assert found
    version = re.match(r"systemd (\d+) ", analyze("--version"))
    assert version
    if version[1] in quoted:
        assert (found[1], found[2]) == quoted[version[1]]
    assert float(found[1]) <= max(float(level) for level, _ in quoted.values())


@pytest.fixture
def manager() -> Iterator[ServiceManager]:
    with tempfile.TemporaryDirectory() as folder, ServiceManager(f"{folder}/notify") as made:
        yield made


def test_the_commands_of_the_unit_start_reload_and_stop_a_server_for_a_group(
    manager: ServiceManager, tmp_path: Path
) -> None:
    # The directories that systemd creates, and the database as in the README: an empty file that the group can write.
    environment = {
        **os.environ,
        "NOTIFY_SOCKET": manager.address,
        "STATE_DIRECTORY": str(tmp_path / "state"),
        "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
    }
    name, _, _ = setting("LoadCredential").partition(":")
    (tmp_path / "credentials").mkdir()
    write_secret(tmp_path / "credentials" / name, "0123456789abcdef" * 4 + "\n")
    (tmp_path / "state").mkdir()
    database = tmp_path / "state" / "skills.db"
    database.touch()
    database.chmod(0o660)
    command = [
        re.sub(r"\$\{(\w+)\}", lambda match: environment[match[1]], word)
        for word in shlex.split(setting("ExecStart").replace("--port 8765", "--port 0"))
    ]
    with ServerProcess(command, env=environment, umask=int(setting("UMask"), 8), cwd=tmp_path) as process:
        assert manager.next() == "READY=1"
        (port, *_) = process.wait_until_listening()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE) as answer:
            assert answer.status == 200
        fill(database, invocations("pytest-run", 1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.parent.iterdir()}
        assert modes == {"skills.db": 0o660, "skills.db-wal": 0o660, "skills.db-shm": 0o660}

        subprocess.run(shlex.split(setting("ExecReload").replace("$MAINPID", str(process.process.pid))), check=True)
        assert manager.next().startswith("RELOADING=1\n")
        assert manager.next() == "READY=1"
        process.signal(signal.SIGTERM)
        assert manager.next() == "STOPPING=1"
        status, _, errors = process.finish()
    assert status == 0, errors
