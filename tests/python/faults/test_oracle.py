"""Other programs change the rows at random; the server soon shows the metrics that SQL computes from them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.oracle import Oracle
from support.processes import Server

SECONDS = float(os.environ.get("SESSION_BUDDY_TEST_ORACLE_SECONDS", "3"))
SEED = int(os.environ.get("SESSION_BUDDY_TEST_ORACLE_SEED", "0"))
DEADLINE = 20.0  # seconds; on an idle machine it agrees within 0.1 s

pytestmark = pytest.mark.timeout(SECONDS + 120)


@pytest.mark.parametrize("options", [(), ("--push", "--push-min-interval", "20ms")], ids=["interval", "push"])
def test_windows_lifetimes_sessions_and_totals_agree_with_sql(db_path: Path, options: tuple[str, ...]) -> None:
    seed = SEED or int.from_bytes(os.urandom(4), "big")
    with Server(db_path, *options, interval="20ms") as server:
        oracle = Oracle(server, seed)
        oracle.run(SECONDS, DEADLINE)
    print(f"seed {seed}: {oracle.batches} batches, agreed after {oracle.slowest:.3f} s at the latest")
    assert oracle.batches > 0
