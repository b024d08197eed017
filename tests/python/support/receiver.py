"""A webhook receiver with configurable responses."""

from __future__ import annotations

import contextlib
import http.server
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .processes import wait_until
from .web import served


@dataclass(frozen=True)
class Post:
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # time.monotonic()
    status: int  # of the response

    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, dict[str, str]]


def accept(number: int) -> Answer:
    """The default response: 204."""
    return 204, {}


class WebhookReceiver:
    """Accepts POSTs on a free port, or on the given one. `answer` gets their number, from 0, and may block."""

    def __init__(self, answer: Callable[[int], Answer] = accept, *, port: int = 0) -> None:
        self.posts: list[Post] = []
        self._answer = answer
        self._port = port
        self._open = contextlib.ExitStack()

    def __enter__(self) -> WebhookReceiver:
        owner = self

        class Receiving(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = owner._answer(len(owner.posts))
                owner.posts.append(Post(self.path, dict(self.headers), body, time.monotonic(), status))
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": "0", **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:
                    pass  # the client did not wait for the response

        self.port = self._open.enter_context(served(Receiving, self._port))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/SECRET-PATH?key=SECRET-KEY"

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The bodies of the accepted requests, in order."""
        return [post.json() for post in list(self.posts) if 200 <= post.status < 300]

    def events(self) -> list[tuple[str, str]]:
        """Event and skill of each accepted request."""
        return [(body["event"], body["skill"]) for body in self.accepted]

    def wait_for(self, *wanted: tuple[str, str]) -> None:
        """Waits until these events, in this order, are all that it has accepted."""
        try:
            wait_until(lambda: self.events() == list(wanted), f"{wanted} are accepted", pause=0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}; accepted were {self.events()}") from None
