"""Memory limits: many names, clients that do not read their responses, and a limit of the operating system."""

from __future__ import annotations

import http.client
import json
import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from support.footprint import MEGABYTE, resident
from support.ingestion import INVOCATIONS, invocation, send
from support.processes import Server, wait_until
from support.raw_client import RawClient, request

PHASES = 10
LONG = "\\" * 150  # each takes two bytes in /metrics


@contextmanager
def native_server(folder: Path, *options: str, interval: str = "100ms") -> Iterator[Server]:
    with Server(folder / "skills.db", *options, interval=interval) as server:
        yield server
        assert server.process.poll() is None, "the server is gone"
        assert server.stop() == 0


def ask(server: Server, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def post_names(server: Server, names: list[str], **fields: Any) -> int:
    status, _, _ = send(server, INVOCATIONS, [invocation(skill_name=name, **fields) for name in names])
    return status


def sample(text: str, name: str) -> float:
    """The value of the only sample of that name and labels."""
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


def long_metrics(server: Server, skills: int) -> None:
    """Makes /metrics long: many series with names of the maximum length."""
    rows = [
        invocation(
            skill_name=f"{skill:03}{LONG}", workflow_phase=f"{phase:02}{LONG}", completed=completed, duration_seconds=1
        )
        for skill in range(skills)
        for phase in range(PHASES)
        for completed in (True, False)
    ]
    status, _, _ = send(server, INVOCATIONS, rows)
    assert status == 202
    wait_until(
        lambda: ask(server, "/metrics")[1].count("skill_duration_seconds_count{") == skills * PHASES, "all series"
    )


def test_skills_beyond_max_tracked_skills_are_summed_and_reported_everywhere(tmp_path: Path) -> None:
    with native_server(tmp_path, "--max-tracked-skills", "100", "--max-tracked-sessions", "50") as server:
        assert json.loads(ask(server, "/readyz")[1]) == {"status": "ready"}
        assert json.loads(ask(server, "/api/v1/server")[1])["limits_reached"] == []
        before = resident(server)
        for batch in range(3):
            names = [f"skill-{batch}-{i}" for i in range(5000)]
            status, _, _ = send(
                server, INVOCATIONS, [invocation(skill_name=name, session_id=f"session-of-{name}") for name in names]
            )
            assert status == 202
        wait_until(lambda: counted(server) == 15_000, "all rows are counted", pause=0.1)
        assert resident(server) - before < 60 * MEGABYTE
        status, text = ask(server, "/readyz")
        assert (status, json.loads(text)) == (
            200,
            {"status": "ready", "limits_reached": ["max_tracked_skills", "max_tracked_sessions"]},
        )
        limits = json.loads(ask(server, "/api/v1/server")[1])["limits_reached"]
        assert limits == ["max_tracked_skills", "max_tracked_sessions"]
        metrics = ask(server, "/metrics")[1]
        assert sample(metrics, 'session_buddy_rows_in_other_total{kind="skill"}') == 14_900
        assert sample(metrics, 'session_buddy_rows_in_other_total{kind="session"}') == 14_950
        assert sample(metrics, 'session_buddy_tracked_names{kind="skill"}') == 101
        top = json.loads(ask(server, "/api/v1/skills?limit=1")[1])["skills"]
        assert (top[0]["skill_name"], top[0]["window"]["invocation_count"]) == ("other", 14_900)
        server.wait_for(r"max_tracked_skills \(100\) reached")
    with closing(sqlite3.connect(tmp_path / "skills.db")) as database:
        assert database.execute("SELECT count(DISTINCT skill_name) FROM skill_invocation").fetchone() == (15_000,)


def counted(server: Server) -> int:
    skills = json.loads(ask(server, "/api/v1/skills?limit=500")[1])["skills"]
    return sum(int(skill["window"]["invocation_count"]) for skill in skills)


def data_size(server: Server) -> int:
    """Bytes that RLIMIT_DATA counts."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmData:\s+(\d+) kB", status)[0]) * 1024


def test_a_server_out_of_memory_keeps_serving_and_recovers(tmp_path: Path) -> None:
    with native_server(tmp_path, "--max-tracked-skills", "1000000", "--max-tracked-sessions", "1000000") as server:
        assert post_names(server, ["first"]) == 202
        pid = server.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_DATA)
        limit = data_size(server) + 24 * MEGABYTE
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, unlimited[1]))
        stored = 1
        exhausted = False
        unanswered = 0
        for batch in range(40):
            names = [f"skill-{batch}-{i}" for i in range(2500)]
            records = [invocation(skill_name=name, session_id=f"session-{batch}") for name in names]
            try:
                status, response, _ = send(server, INVOCATIONS, records)
            except ConnectionError:  # no memory for the response; the request, or a part of it, may be stored
                unanswered = 2500
                exhausted = True
                break
            assert status in (202, 503)
            stored += response.get("stored", 0)  # of a rejected request a part may be stored, which the response counts
            ready, _ = ask(server, "/readyz")
            if status == 503 or ready == 503:
                exhausted = True
                break
        assert exhausted, "memory did not run out"
        assert server.process.poll() is None
        assert ask(server, "/healthz")[0] == 200
        resource.prlimit(pid, resource.RLIMIT_DATA, unlimited)
        wait_until(lambda: ask(server, "/readyz")[0] == 200, "ready again", pause=0.2)
        with closing(sqlite3.connect(tmp_path / "skills.db")) as database:
            in_database = database.execute("SELECT count(*) FROM skill_invocation").fetchone()[0]
        assert stored <= in_database <= stored + unanswered, "what was answered is what is stored"
        wait_until(lambda: json.loads(ask(server, "/api/v1/server")[1])["skills"] == in_database, "all skills")


def unread_responses(server: Server, count: int, headers: Callable[[int], dict[str, str]]) -> list[RawClient]:
    """Clients that ask for /metrics and read nothing."""
    clients = []
    for number in range(count):
        client = RawClient(server.port, receive_buffer=4096)
        client.send(request(headers(number), target="/metrics"))
        clients.append(client)
    return clients


def test_clients_that_do_not_read_the_same_response_share_its_memory(tmp_path: Path) -> None:
    with native_server(tmp_path) as server:
        long_metrics(server, skills=20)
    # An interval of an hour: one snapshot, and the same response for all.
    with native_server(tmp_path, "--write-timeout", "600s", "--query-timeout", "60s", interval="3600s") as server:
        size = len(ask(server, "/metrics")[1])
        assert size > 1.5 * MEGABYTE
        before = resident(server)
        clients = unread_responses(server, 40, lambda _: {})
        for client in clients:
            assert client.socket.recv(12) == b"HTTP/1.1 200"
        assert resident(server) - before < 10 * size
        for client in clients:
            client.close()
        wait_until(lambda: resident(server) - before < 5 * size, "the memory is given back", pause=0.1)


def test_beyond_max_response_bytes_queries_get_503_until_clients_have_read(tmp_path: Path) -> None:
    with native_server(
        tmp_path, "--write-timeout", "600s", "--query-timeout", "60s", "--max-response-bytes", "5000000"
    ) as server:
        long_metrics(server, skills=20)
        clients = unread_responses(server, 20, lambda number: {"Accept": f"text/plain;level={number}"})
        wait_until(lambda: ask(server, "/metrics")[0] == 503, "max_response_bytes is reached")
        assert json.loads(ask(server, "/metrics")[1])["error"] == "too_many_unread_responses"
        assert ask(server, "/healthz")[0] == 200
        for client in clients:
            client.close()
        wait_until(lambda: ask(server, "/metrics")[0] == 200, "memory is released")


def test_an_open_connection_keeps_no_memory_of_its_last_response(tmp_path: Path) -> None:
    with native_server(
        tmp_path, "--idle-timeout", "600s", "--query-timeout", "60s", "--max-response-bytes", "5000000"
    ) as server:
        long_metrics(server, skills=20)
        connections = []
        for number in range(8):  # which together would exceed max_response_bytes
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connection.request("GET", "/metrics", headers={"Accept": f"text/plain;level={number}"})
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            connections.append(connection)
        for connection in connections:
            connection.close()
