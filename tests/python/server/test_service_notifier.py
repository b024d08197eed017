"""The server's notifications to a service manager that set NOTIFY_SOCKET, as systemd does for Type=notify."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Certificates
from support.processes import DEADLINE, ServerProcess, native_binary
from support.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[ServiceManager]:
    if request.param == "abstract":
        if sys.platform != "linux":
            pytest.skip("abstract names are Linux' own")
        with ServiceManager(f"@session-buddy-{uuid.uuid4()}") as made:
            yield made
    else:
        # Not in tmp_path, which can be longer than the address of a socket.
        with tempfile.TemporaryDirectory() as folder, ServiceManager(f"{folder}/notify") as made:
            yield made


def start(db_path: Path, address: str, *options: str) -> ServerProcess:
    arguments = [native_binary(), "--port", "0", "--db-path", str(db_path), *options]
    return ServerProcess(arguments, env={**os.environ, "NOTIFY_SOCKET": address})


def test_the_service_manager_is_notified_of_start_reload_and_stop(
    manager: ServiceManager, db_path: Path, certificates: Certificates
) -> None:
    with start(db_path, manager.address, *certificates.options) as process:
        assert manager.next() == "READY=1"
        (port, *_) = process.wait_until_listening()
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE).close()
        for broken in (False, True):  # a failed reload ends with READY, too
            if broken:
                certificates.cert.unlink()
            before = time.monotonic_ns() // 1000
            process.signal(signal.SIGHUP)
            found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.next())
            assert found
            assert before <= int(found[1]) <= time.monotonic_ns() // 1000
            assert manager.next() == "READY=1"
        process.signal(signal.SIGTERM)
        assert manager.next() == "STOPPING=1"
        status, _, errors = process.finish()
    assert status == 0, errors
    assert manager.is_silent()


def test_a_reload_without_anything_to_reload_does_not_end_the_service(manager: ServiceManager, db_path: Path) -> None:
    with start(db_path, manager.address) as process:
        assert manager.next() == "READY=1"
        process.signal(signal.SIGHUP)
        assert manager.next().startswith("RELOADING=1\n")
        assert manager.next() == "READY=1"
        (port, *_) = process.wait_until_listening()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE) as answer:
            assert answer.status == 200
        process.signal(signal.SIGTERM)
        assert process.finish()[0] == 0


def test_the_service_manager_is_not_notified_of_a_failed_start(manager: ServiceManager, db_path: Path) -> None:
    db_path.write_bytes(b"no database at all, certainly not one of SQLite" * 50)
    with start(db_path, manager.address) as process:
        assert process.finish()[0] == 1
    assert manager.is_silent()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/nowhere/notify", "No such file or directory"),
        ("vsock:2:1234", "Cannot assign requested address"),
        ("/" + "x" * 200, "Cannot assign requested address"),
    ],
)
def test_an_unreachable_service_manager_is_only_logged(db_path: Path, address: str, reason: str) -> None:
    with start(db_path, address) as process:
        process.wait_until_listening()
        process.signal(signal.SIGTERM)
        status, _, errors = process.finish()
    assert status == 0
    for state in ("READY", "STOPPING"):
        assert f"cannot notify the service manager at {address} of {state}: {reason}" in errors
