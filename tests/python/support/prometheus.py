"""A real Prometheus on loopback; its files are in a folder of the test."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from . import tools
from .processes import DEADLINE, Program
from .web import served

INTERVAL = "1s"  # between two scrapes, and between two evaluations of the rules

Labels = dict[str, str]


class Prometheus(Program):
    """Prometheus with these scrape jobs and rules. Entered, it answers on `port`.

    `jobs` are those of `scrape_configs`; where they name an interval it is replaced by INTERVAL.
    """

    port: int

    def __init__(self, folder: Path, jobs: Sequence[Mapping[str, Any]], rules: Sequence[Path] = ()) -> None:
        folder.mkdir()
        times = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL}
        config = {
            "global": {**times, "evaluation_interval": INTERVAL},
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [{**job, **times} for job in jobs],
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        super().__init__(
            [
                tools.prometheus(),
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=1h",
                "--web.listen-address=127.0.0.1:0",
            ],
            cwd=folder,
        )

    def __enter__(self) -> Prometheus:
        super().__enter__()
        self.wait_for("Server is ready to receive web requests")
        pattern = r'msg="Listening on".* address=127\.0\.0\.1:(\d+)'
        seen = [found for line in self.seen if (found := re.search(pattern, line))]
        found = seen[0] if seen else re.search(pattern, self.wait_for(pattern))
        assert found is not None
        self.port = int(found[1])
        return self

    def get(self, path: str, **parameters: str) -> Any:
        """The data of a response of its HTTP API; fails with the error of Prometheus."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """The series of an instant vector, with their current values."""
        data = self.get("query", query=expression)
        assert data["resultType"] == "vector", expression
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def value(self, expression: str) -> float | None:
        """The value of the only series, or None without one."""
        series = self.query(expression)
        assert len(series) <= 1, f"{expression}: {series}"
        return series[0][1] if series else None

    def until(self, expression: str, wanted: Any = None) -> list[tuple[Labels, float]]:
        """Waits until the query gives series, of which each value is `wanted` where that is given."""
        end = time.monotonic() + DEADLINE
        while True:
            series = self.query(expression)
            if series and (wanted is None or all(value == wanted for _, value in series)):
                return series
            assert time.monotonic() < end, f"{expression}: {series}; targets: {self.targets()}"
            time.sleep(0.05)

    def targets(self) -> list[dict[str, Any]]:
        """The scrape targets, with `health` and `lastError`."""
        targets: list[dict[str, Any]] = self.get("targets", state="active")["activeTargets"]
        return targets


class Relay:
    """Forwards scrapes to a server, optionally with another Accept, and records the content types of the responses.

    Prometheus prefers OpenMetrics and cannot be configured to prefer the older format.
    """

    port: int

    def __init__(self, port: int, accept: str | None = None) -> None:
        self.types: set[str] = set()
        relay = self

        class Relaying(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {"Accept": accept or self.headers["Accept"]}
                request = urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", headers=headers)
                with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                    body = answer.read()
                    relay.types.add(answer.headers["Content-Type"])
                    self.send_response(answer.status)
                    self.send_header("Content-Type", answer.headers["Content-Type"])
                    self.end_headers()
                self.wfile.write(body)

        self._handler = Relaying
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Relay:
        self.port = self._open.enter_context(served(self._handler))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
