"""Ingestion over HTTP: hook events and invocations, who may send them, and the responses."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import websockets

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.databases import execute, locked, rows
from support.hook_events import event, failure, post, pre, session_end, typed
from support.ingestion import HOOKS, INVOCATIONS, JSON, NDJSON, invocation, send
from support.processes import DEADLINE, Server, wait_until
from support.tokens import READER, write_secret
from support.transcripts import SECRET

WRITER = "writer-5d8e1c7b3a9f6042"

Answer = tuple[int, Any]


async def sent(server: RealTimeMetricsServer, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
    status, answer, _ = await asyncio.to_thread(send, server, path, body, headers)
    return status, answer


@pytest.fixture
async def guarded(server_factory: ServerFactory, tmp_path: Path) -> AsyncIterator[RealTimeMetricsServer]:
    """A server that requires tokens."""
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n{WRITER} write\n")
    async with server_factory(auth_token_file=tokens, max_auth_failures_per_second=1000) as running:
        yield running


# ---- Hook events


async def test_a_hook_event_is_in_the_database_when_it_is_answered(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    assert await sent(server, HOOKS, pre("t1", "Bash", tool_input={"command": "npx mypy x"})) == (202, None)
    assert rows(db_path) == []
    body = post("t1", "Bash", tool_input={"command": "npx mypy x"}, duration_ms=250)
    assert await sent(server, HOOKS, body) == (202, None)
    assert rows(db_path, "skill_name, completed, duration_seconds") == [("mypy", 1, 0.25)]
    assert await sent(server, HOOKS, body) == (202, None)
    assert await sent(server, HOOKS, failure("t2", "Exit code 1")) == (202, None)
    assert await sent(server, HOOKS, typed("review")) == (202, None)
    assert await sent(server, HOOKS, pre("t3")) == (202, None)
    assert await sent(server, HOOKS, session_end()) == (202, None)
    assert [row[0] for row in rows(db_path)] == ["mypy", "Bash", "review", "Read"]


async def test_other_hook_events_are_accepted_and_leave_no_row(server: RealTimeMetricsServer, db_path: Path) -> None:
    assert await sent(server, HOOKS, event("Stop")) == (202, None)
    assert rows(db_path) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", None),
        (b"[]", None),
        ({**pre("t1"), "tool_use_id": 5}, "tool_use_id"),
        ({**pre("t1"), "session_id": ""}, "session_id"),
        ({**typed("x"), "command_name": None}, "command_name"),
    ],
)
async def test_an_invalid_hook_event_is_rejected_with_its_field(
    server: RealTimeMetricsServer, db_path: Path, body: Any, field: str | None
) -> None:
    status, answer = await sent(server, HOOKS, body)
    assert status == 400
    assert (answer["error"], answer.get("field")) == ("bad_request", field)
    assert SECRET not in json.dumps(answer)
    assert rows(db_path) == []


async def test_a_hook_event_of_a_locked_database_is_spooled_and_drained_by_the_server(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    with locked(db_path):
        assert await sent(server, HOOKS, post("t1")) == (202, None)
        assert len(list(Path(f"{db_path}-spool").glob("*.json"))) == 1
    await asyncio.to_thread(wait_until, lambda: rows(db_path, "skill_name") == [("Read",)], "it is stored")
    await asyncio.to_thread(wait_until, lambda: not list(Path(f"{db_path}-spool").iterdir()), "its file is removed")


async def test_a_use_that_never_ends_is_unknown_after_hook_timeout(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    assert await sent(server, HOOKS, pre("t1")) == (202, None)
    execute(db_path, "UPDATE session_buddy_open_use SET started_us = started_us - 3700 * 1000000")
    await asyncio.to_thread(wait_until, lambda: rows(db_path) == [("Read", 1, None)], "it is stored")
    with sqlite3.connect(db_path) as database:
        assert database.execute("SELECT invocation_id, marks FROM session_buddy_mark").fetchall() == [(1, 1)]


async def test_a_subscriber_is_notified_of_a_hook_event(server_factory: ServerFactory) -> None:
    async with (
        server_factory(push=True, update_interval=3600) as server,
        websockets.connect(f"ws://localhost:{server.port}") as client,
    ):
        await client.send(json.dumps({"type": "subscribe", "skill_name": None}))
        assert await sent(server, HOOKS, post("t1")) == (202, None)
        async with asyncio.timeout(DEADLINE):
            while "Read" not in (message := await client.recv()):
                assert "error" not in message


# ---- Invocations


async def test_an_invocation_is_stored_with_its_fields(server: RealTimeMetricsServer, db_path: Path) -> None:
    body = invocation(
        completed=False,
        invoked_at="2026-02-10T12:00:00Z",
        duration_seconds=1.5,
        error_type="exit_code",
        workflow_path="quality",
        workflow_phase="execution",
        workflow_step_id="s-1",
        selection_rank=2,
        key=None,
    )
    assert await sent(server, INVOCATIONS, body) == (202, {"stored": 1, "known": 0})
    columns = (
        "skill_name, session_id, completed, invoked_at, duration_seconds, error_type, workflow_path, workflow_phase,"
        " workflow_step_id, selection_rank"
    )
    assert rows(db_path, columns) == [
        ("deploy", "ci", 0, "2026-02-10T12:00:00Z", 1.5, "exit_code", "quality", "execution", "s-1", 2)
    ]


@pytest.mark.parametrize("form", ["array", "ndjson"])
async def test_many_invocations_in_one_request_are_stored_in_their_order(
    server: RealTimeMetricsServer, db_path: Path, form: str
) -> None:
    many = [invocation(skill_name=f"s{index}") for index in range(100)]
    if form == "array":
        answer = await sent(server, INVOCATIONS, many)
    else:
        lines = "\r\n\n".join(json.dumps(one) for one in many) + "\n"
        answer = await sent(server, INVOCATIONS, lines, {"Content-Type": "Application/X-NDJSON; charset=utf-8"})
    assert answer == (202, {"stored": 100, "known": 0})
    assert [name for (name,) in rows(db_path, "skill_name")] == [f"s{index}" for index in range(100)]


async def test_an_invocation_with_a_key_is_stored_once(server: RealTimeMetricsServer, db_path: Path) -> None:
    body = [invocation(key="build-1"), invocation(key="build-1"), invocation()]
    assert await sent(server, INVOCATIONS, body) == (202, {"stored": 2, "known": 1})
    assert await sent(server, INVOCATIONS, body) == (202, {"stored": 1, "known": 2})
    assert len(rows(db_path)) == 3


@pytest.mark.parametrize("body", [[], b""])
async def test_an_empty_list_of_invocations_is_accepted(server: RealTimeMetricsServer, body: Any) -> None:
    headers = NDJSON if body == b"" else JSON
    assert await sent(server, INVOCATIONS, body, headers) == (202, {"stored": 0, "known": 0})


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"skill_name": ""}, "skill_name", "1 to 256 bytes"),
        ({"skill_name": "a\nb"}, "skill_name", "control characters"),
        ({"skill_name": None}, "skill_name", "is missing"),
        ({"session_id": 7}, "session_id", "must be a string"),
        ({"completed": "yes"}, "completed", "true or false"),
        ({"completed": None}, "completed", "is missing"),
        ({"invoked_at": "yesterday"}, "invoked_at", "ISO 8601"),
        ({"duration_seconds": -1}, "duration_seconds", "from 0 to 100000000"),
        ({"duration_seconds": "1"}, "duration_seconds", "a number"),
        ({"duration_seconds": 1e999}, None, "not JSON"),
        ({"error_type": f"could not read {SECRET}"}, "error_type", "short class"),
        ({"selection_rank": 1.5}, "selection_rank", "non-negative integer"),
        ({"selection_rank": 2**64 - 1}, "selection_rank", "non-negative integer"),
        ({"key": ""}, "key", "1 to 1024 bytes"),
        ({"user_query": SECRET}, "user_query", "never stored"),
        ({"embedding": [1]}, "embedding", "never stored"),
        ({"skillname": "x"}, "skillname", "is not a known field"),
    ],
)
async def test_one_bad_field_is_named_with_its_index_and_nothing_of_the_request_is_stored(
    server: RealTimeMetricsServer, db_path: Path, wrong: dict[str, Any], field: str | None, reason: str
) -> None:
    status, answer = await sent(server, INVOCATIONS, [invocation(), invocation(**wrong)])
    assert status == 400
    assert answer["error"] == "bad_request"
    assert answer.get("field") == field
    assert answer.get("index") == (1 if field else None)
    assert reason in answer["detail"]
    assert SECRET not in json.dumps(answer)
    assert rows(db_path) == []


async def test_a_line_that_is_not_json_is_named_by_its_index(server: RealTimeMetricsServer) -> None:
    body = json.dumps(invocation()) + "\nno json\n"
    status, answer = await sent(server, INVOCATIONS, body, NDJSON)
    assert (status, answer["index"]) == (400, 1)


async def test_more_invocations_than_a_request_may_hold_are_rejected(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    body = [invocation()] * 10_001
    status, answer = await sent(server, INVOCATIONS, body)
    assert (status, answer["error"]) == (413, "too_many_invocations")
    assert rows(db_path) == []


async def test_another_content_type_is_rejected(server: RealTimeMetricsServer) -> None:
    status, answer = await sent(server, INVOCATIONS, invocation(), {"Content-Type": "text/plain"})
    assert (status, answer["error"]) == (415, "unsupported_media_type")


async def test_invocations_for_a_database_that_stays_locked_are_to_be_retried(
    server_factory: ServerFactory, db_path: Path
) -> None:
    async with server_factory(busy_timeout=0.2) as server:
        with locked(db_path):
            status, answer, head = await asyncio.to_thread(send, server, INVOCATIONS, invocation())
            assert (status, answer["error"]) == (503, "database_unavailable")
            assert int(head.headers["Retry-After"]) > 0
        assert await sent(server, INVOCATIONS, invocation()) == (202, {"stored": 1, "known": 0})


async def test_a_hook_does_not_wait_for_invocations_that_wait_for_a_locked_database(
    server_factory: ServerFactory, db_path: Path
) -> None:
    async with server_factory(busy_timeout=60) as server:
        with locked(db_path):
            waiting = asyncio.create_task(sent(server, INVOCATIONS, invocation()))
            for number in range(3):
                assert await sent(server, HOOKS, post(f"t{number}")) == (202, None)
            assert not waiting.done()
        assert await waiting == (202, {"stored": 1, "known": 0})


async def test_a_stop_does_not_wait_for_a_locked_database(server_factory: ServerFactory, db_path: Path) -> None:
    server = server_factory(busy_timeout=60, shutdown_timeout=1)
    await server.__aenter__()
    with locked(db_path):
        waiting = asyncio.create_task(sent(server, INVOCATIONS, invocation()))
        assert await sent(server, HOOKS, post("t1")) == (202, None)
        async with asyncio.timeout(DEADLINE):
            await server.stop()
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert (await waiting)[0] == 503
    assert rows(db_path) == []


async def test_one_request_that_the_database_rejects_does_not_harm_others(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    with closing(sqlite3.connect(db_path)) as database, database:
        database.execute(
            "CREATE TRIGGER no_bad BEFORE INSERT ON skill_invocation WHEN NEW.skill_name = 'bad'"
            " BEGIN SELECT raise(ABORT, 'no'); END"
        )
    names = ["bad" if index % 5 == 0 else "good" for index in range(25)]
    answers = await asyncio.gather(*(sent(server, INVOCATIONS, invocation(skill_name=name)) for name in names))
    assert [status for status, _ in answers] == [503 if name == "bad" else 202 for name in names]
    assert len(rows(db_path)) == 20


@pytest.mark.parametrize("path", [HOOKS, INVOCATIONS])
async def test_deeply_nested_input_is_accepted(server: RealTimeMetricsServer, path: str) -> None:
    nest = "[" * 1_000_000 + "]" * 1_000_000
    body = f'{{"tool_input": {{"skill": {nest}}}, "skill_name": {nest}, {json.dumps(post("t1", "Skill"))[1:]}'
    body = body.replace('"tool_input": {}, ', "", 1)
    assert (await sent(server, path, body))[0] == (202 if path == HOOKS else 400)
    assert (await sent(server, HOOKS, post("t2")))[0] == 202


async def test_a_replacement_of_the_database_without_side_tables_is_written_to(
    server: RealTimeMetricsServer, db_path: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older.db"
    with closing(sqlite3.connect(db_path)) as database, closing(sqlite3.connect(older)) as copy:
        database.backup(copy)
    assert await sent(server, INVOCATIONS, invocation(key="k")) == (202, {"stored": 1, "known": 0})
    with closing(sqlite3.connect(db_path)) as database, closing(sqlite3.connect(older)) as copy:
        copy.backup(database)
    assert await sent(server, INVOCATIONS, invocation(key="k")) == (202, {"stored": 1, "known": 0})
    assert await sent(server, HOOKS, post("t1")) == (202, None)
    assert len(rows(db_path)) == 2
    assert not Path(f"{db_path}-spool").exists()


async def test_requests_that_come_together_are_all_stored(server: RealTimeMetricsServer, db_path: Path) -> None:
    answers = await asyncio.gather(*(sent(server, INVOCATIONS, invocation(skill_name=f"s{i}")) for i in range(50)))
    assert answers == [(202, {"stored": 1, "known": 0})] * 50
    assert len(rows(db_path)) == 50


# ---- Authorization


@pytest.mark.parametrize("path", [HOOKS, INVOCATIONS])
async def test_a_token_must_have_the_scope_write(guarded: RealTimeMetricsServer, db_path: Path, path: str) -> None:
    body = post("t1") if path == HOOKS else invocation()

    async def status_with(token: str | None) -> int:
        headers = JSON if token is None else {**JSON, "Authorization": f"Bearer {token}"}
        return (await sent(guarded, path, body, headers))[0]

    assert await status_with(None) == 401
    assert await status_with("nonsense") == 401
    assert await status_with(READER) == 403
    assert rows(db_path) == []
    assert await status_with(WRITER) == 202
    assert len(rows(db_path)) == 1


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_without_authentication_nothing_is_accepted_through_an_unknown_proxy(
    server: RealTimeMetricsServer, db_path: Path, header: str
) -> None:
    status, answer = await sent(server, HOOKS, post("t1"), {**JSON, header: "for=192.0.2.1"})
    assert (status, answer["error"]) == (403, "loopback_only")
    assert rows(db_path) == []


async def test_without_authentication_the_client_behind_a_proxy_must_be_of_this_machine(
    server_factory: ServerFactory,
) -> None:
    async with server_factory(behind_proxy=True) as server:
        outside = await sent(server, HOOKS, post("t1"), {**JSON, "X-Forwarded-For": "192.0.2.1"})
        assert outside[0] == 403
        assert (await sent(server, HOOKS, post("t1")))[0] == 202


async def test_a_web_page_of_another_origin_may_not_submit_data(server: RealTimeMetricsServer, db_path: Path) -> None:
    status, answer = await sent(server, HOOKS, post("t1"), {**JSON, "Origin": "https://evil.example"})
    assert (status, answer["error"]) == (403, "origin_not_allowed")
    assert rows(db_path) == []


# ---- Limits and framing


async def test_a_body_longer_than_max_body_bytes_is_rejected_before_it_is_read(server_factory: ServerFactory) -> None:
    async with server_factory(max_body_bytes=2048) as server:
        status, answer, head = await asyncio.to_thread(send, server, HOOKS, b" " * 4096)
        assert (status, answer["error"], head.headers["Connection"]) == (413, "body_too_large", "close")
        assert (await sent(server, HOOKS, post("t1")))[0] == 202


def send_header(server: RealTimeMetricsServer, length: int) -> tuple[socket.socket, bytes]:
    """A client that has sent only the header of a request, and the server's response."""
    client = socket.create_connection(("localhost", server.port), DEADLINE)
    head = (f"POST {INVOCATIONS} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    client.sendall("\r\n".join((*head, f"Content-Length: {length}", "Expect: 100-continue", "", "")).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(100)
    return client, answer


def begin_to_send(server: RealTimeMetricsServer, length: int) -> socket.socket:
    """A client that got 100 Continue for the body of its request."""
    client, answer = send_header(server, length)
    assert answer.startswith(b"HTTP/1.1 100")
    return client


def is_full(server: RealTimeMetricsServer) -> bool:
    """Whether 4,089 of 4,096 bytes are in use; checking uses none."""
    client, answer = send_header(server, 8)
    client.close()
    return answer.startswith(b"HTTP/1.1 429")


async def test_more_than_max_intake_bytes_at_a_time_are_rejected_and_the_rest_continues(
    server_factory: ServerFactory,
) -> None:
    async with server_factory(max_body_bytes=4096, max_intake_bytes=4096) as server:
        body = json.dumps(invocation()).encode()
        with begin_to_send(server, 4090) as slow:
            slow.sendall(body + b" " * (4089 - len(body)))
            await asyncio.to_thread(wait_until, lambda: is_full(server), "they have come")
            status, answer, head = await asyncio.to_thread(send, server, INVOCATIONS, body)
            assert (status, answer["error"], head.headers["Retry-After"]) == (429, "intake_full", "1")
            assert (await sent(server, HOOKS, post("t1")))[0] == 202, "hooks have a separate limit"
            slow.sendall(b" ")
            assert slow.recv(1000).startswith(b"HTTP/1.1 202")
        assert (await sent(server, INVOCATIONS, body))[0] == 202


async def test_bytes_of_a_client_that_disconnects_midway_are_released(server_factory: ServerFactory) -> None:
    async with server_factory(max_body_bytes=4096, max_intake_bytes=4096) as server:
        with begin_to_send(server, 4090) as slow:
            slow.sendall(b"{" + b" " * 4088)
            await asyncio.to_thread(wait_until, lambda: is_full(server), "they have come")
            assert (await sent(server, INVOCATIONS, invocation()))[0] == 429
        await asyncio.to_thread(
            wait_until, lambda: send(server, INVOCATIONS, invocation())[0] == 202, "they are free again"
        )


async def test_a_connection_stays_for_the_next_request(server: RealTimeMetricsServer, db_path: Path) -> None:
    def three() -> list[int]:
        with closing(http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)) as connection:
            statuses = []
            for body in (json.dumps(post("t1")), "{}", json.dumps(post("t2"))):
                connection.request("POST", HOOKS, body, JSON)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            return statuses

    assert await asyncio.to_thread(three) == [202, 400, 202]
    assert len(rows(db_path)) == 2


@pytest.mark.parametrize(("path", "body"), [(HOOKS, post("t1")), (INVOCATIONS, invocation())])
async def test_a_chunked_body_is_read_within_the_same_limits(
    server_factory: ServerFactory, db_path: Path, path: str, body: Any
) -> None:
    text = json.dumps(body).encode()

    def chunked(*pieces: bytes) -> int:
        with closing(http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)) as connection:
            connection.request("POST", path, iter(pieces), JSON, encode_chunked=True)
            return connection.getresponse().status

    async with server_factory(max_body_bytes=2048) as server:
        assert await asyncio.to_thread(chunked, text[:5], text[5:]) == 202
        assert len(rows(db_path)) == 1
        assert await asyncio.to_thread(chunked, text, b" " * 1024, b" " * 1024) == 413


async def test_another_method_is_answered_with_the_allowed_one(server: RealTimeMetricsServer) -> None:
    def get() -> tuple[int, str | None]:
        with closing(http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)) as connection:
            connection.request("GET", INVOCATIONS)
            answer = connection.getresponse()
            return answer.status, answer.headers["Allow"]

    assert await asyncio.to_thread(get) == (405, "POST")


async def test_what_a_database_rejects_is_not_answered_as_stored(tmp_path: Path) -> None:
    db_path = tmp_path / "skills.db"
    with Server(db_path) as server:
        assert send(server, INVOCATIONS, invocation())[0] == 202
        with closing(sqlite3.connect(db_path)) as database, database:
            database.execute(
                "CREATE TRIGGER no_more BEFORE INSERT ON skill_invocation BEGIN SELECT raise(ABORT, 'no more'); END"
            )
        status, answer, _ = send(server, INVOCATIONS, invocation())
        assert (status, answer["error"]) == (503, "database_unavailable")
        assert send(server, HOOKS, post("t1"))[0] == 202  # it is spooled
    assert len(rows(db_path)) == 1


async def test_a_server_that_stops_while_requests_come_loses_none_that_it_has_answered(
    server_factory: ServerFactory, db_path: Path
) -> None:
    server = server_factory()
    await server.__aenter__()
    answered: list[str] = []

    def keep_on(thread: int) -> None:
        for index in range(10_000):
            name = f"s{thread}-{index}"
            try:
                if send(server, INVOCATIONS, invocation(skill_name=name))[0] != 202:
                    return
            except (OSError, http.client.HTTPException):
                return
            answered.append(name)

    threads = [threading.Thread(target=keep_on, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(wait_until, lambda: len(answered) > 50, "some are answered")
    await server.stop()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    stored = {name for (name,) in rows(db_path, "skill_name")}
    assert set(answered) <= stored
