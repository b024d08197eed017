"""Thousands of connections that open and vanish, and more than there are file descriptors for."""

from __future__ import annotations

import itertools
import resource
import select
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from hostile.conftest import hostile_server
from support.bystander import Bystander
from support.certificates import Certificates, client_hello
from support.footprint import MEGABYTE, descriptors, resident, wait_for_descriptors
from support.processes import Server
from support.raw_client import PING_FRAME, Opcode, RawClient, close_frame, frame, request, upgrade_request

STORM_SECONDS = 30.0
AT_A_TIME = 200  # few enough for the usual limit of 1024 descriptors on both sides
# Memory that the allocator may keep after the second storm, in addition to that of the first.
KEPT_MEMORY = 2 * MEGABYTE
UNLIMITED = (
    *("--max-clients", "1000", "--max-clients-per-address", "1000", "--max-http-connections", "1000"),
    *("--max-connections-per-second", "1000000"),
)


# How far a connection gets before it vanishes: what it sends first, and what after the upgrade to a WebSocket.
STAGES: Sequence[tuple[bytes, bytes | None]] = (
    (b"", None),
    (upgrade_request()[:70], None),
    (b"\x16\x03\x01\x02\x00\x01\x00", None),  # the beginning of TLS
    (request(), None),
    (request() * 20, None),
    (upgrade_request(), None),
    (upgrade_request(), b""),
    (upgrade_request(), PING_FRAME),
    (upgrade_request(), PING_FRAME[:-3]),
    (upgrade_request(), close_frame(1000)),
    (upgrade_request(), frame(Opcode.TEXT, rsv=7)),
)
ENDS: Sequence[Callable[[RawClient], None]] = (RawClient.reset, RawClient.close)


def expect_answer(port: int, tls: ssl.SSLContext | None) -> None:
    """When it is there, the server has accepted every earlier connection."""
    with RawClient(port, tls=tls) as client:
        client.send(request())
        answer = client.read_response()
        assert answer is not None
        assert answer.status == 200


def storm(port: int, count: int, tls: ssl.SSLContext | None = None) -> float:
    """Opens so many connections, each up to one of the stages, and ends each in one of the ways. Returns seconds."""
    begun = time.monotonic()
    fates = itertools.cycle(itertools.product(STAGES, ENDS))
    while count > 0:
        batch = min(count, AT_A_TIME)
        count -= batch
        clients = []
        for (first, then), end in itertools.islice(fates, batch):
            client = RawClient(port, tls=tls)
            client.send(first)
            clients.append((client, then, end))
        for client, then, _ in clients:
            if then is not None:
                answer = client.read_response()
                assert answer is not None
                assert answer.status == 101
                client.send(then)
        for client, _, end in clients:
            end(client)
    expect_answer(port, tls)
    return time.monotonic() - begun


def storms(server: Server, bystander: Bystander, warm_up: int, count: int, tls: ssl.SSLContext | None = None) -> float:
    """Warms up with a small storm; a large one must then leave the server as it was. Returns its seconds."""
    bystander.expect_update()
    held = descriptors(server)
    storm(server.port, warm_up, tls)
    wait_for_descriptors(server, held)
    size = resident(server)
    took = storm(server.port, count, tls)
    wait_for_descriptors(server, held)
    after = resident(server)
    print(
        f"\n{count} connections{' over TLS' if tls else ''} opened and vanished in {took:.1f} s: descriptors"
        f" {held} -> {descriptors(server)}, memory {size / MEGABYTE:.2f} -> {after / MEGABYTE:.2f} MiB;"
        f" longest time without an update of another client {bystander.longest_gap:.2f} s"
    )
    assert after - size < KEPT_MEMORY
    bystander.expect_update()
    return took


def test_10000_connections_that_open_and_vanish_leave_nothing_behind(tmp_path: Path) -> None:
    with hostile_server(tmp_path, *UNLIMITED) as server, Bystander(server.url) as bystander:
        assert storms(server, bystander, 1000, 10000) < STORM_SECONDS


def test_600_over_tls_leave_nothing_behind(tmp_path: Path, certificates: Certificates) -> None:
    context = certificates.client_context()
    with (
        hostile_server(tmp_path, *UNLIMITED, *certificates.options) as server,
        Bystander(server.url, tls=context) as bystander,
    ):
        storms(server, bystander, 400, 600, context)


def test_500_aborted_tls_handshakes_leave_nothing_behind(tmp_path: Path, certificates: Certificates) -> None:
    context = certificates.client_context()
    hello = client_hello(context)
    faults = (b"", hello[:3], hello[:-1], hello, hello + b"x" * 99, b"\x16\x03\x01\xff\xff", b"x" * 999)
    with (
        hostile_server(tmp_path, *UNLIMITED, *certificates.options) as server,
        Bystander(server.url, tls=context) as bystander,
    ):
        bystander.expect_update()
        held = descriptors(server)
        for sent, end in itertools.islice(itertools.cycle(itertools.product(faults, ENDS)), 500):
            client = RawClient(server.port)
            client.send(sent)
            end(client)
        expect_answer(server.port, context)
        wait_for_descriptors(server, held)
        bystander.expect_update()


def test_a_server_out_of_descriptors_keeps_serving_and_accepts_again(tmp_path: Path) -> None:
    with hostile_server(tmp_path, *UNLIMITED) as server, Bystander(server.url) as bystander:
        bystander.expect_update()
        spare = 20
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        limit = descriptors(server) + spare
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        with ExitStack() as open_clients:
            served = [open_clients.enter_context(RawClient(server.port)) for _ in range(spare)]
            for client in served:
                client.handshake()
            assert descriptors(server) == limit
            waiting = [open_clients.enter_context(RawClient(server.port)) for _ in range(5)]
            for client in waiting:
                client.send(upgrade_request())
            server.wait_for("cannot accept connections for now: Too many open files")

            for client in served:
                client.send(PING_FRAME)
            for client in served:
                client.read_message("pong")
            bystander.expect_update()
            readable, _, _ = select.select([client.socket for client in waiting], [], [], 0)
            assert readable == []

            for client in served[: len(waiting) + 1]:
                client.close()
            for client in waiting:
                answer = client.read_response()
                assert answer is not None
                assert answer.status == 101
            server.wait_for("accepting connections again")
