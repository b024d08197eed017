"""The dashboard's files as the server sends them, with their headers for browsers, proxies and caches."""

from __future__ import annotations

import gzip
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.processes import DEADLINE, Server
from support.tokens import READER, write_secret

MAX_COMPRESSED_BYTES = 100_000  # of everything that a first visit loads


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("dashboard") / "skills.db") as running:
        yield running


def get(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(f"http://localhost:{server.port}{path}", method=method)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class References(HTMLParser):
    """What a page loads, and what in it the page's Content-Security-Policy forbids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.forbidden: list[str] = []
        self._in_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if (name, tag) in {("src", "script"), ("src", "img"), ("href", "link")} and value:
                self.urls.append(value)
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and not dict(attributes).get("src")):
            self.forbidden.append(tag)


@pytest.fixture(scope="module")
def page(server: Server) -> References:
    status, _, body = get(server, "/")
    assert status == 200
    return References(body.decode())


def test_the_page_loads_only_what_the_server_has_by_relative_addresses(server: Server, page: References) -> None:
    assert page.urls
    assert page.forbidden == []
    for url in page.urls:
        if url.startswith("data:"):
            continue
        assert not urllib.parse.urlsplit(url).scheme
        assert not url.startswith("/"), "would leave the path of a proxy"
        status, headers, body = get(server, urllib.parse.urljoin("/", url))
        assert (status, bool(body)) == (200, True)
        assert headers["X-Content-Type-Options"] == "nosniff"
        # XML namespaces are not addresses.
        text = re.sub(r"http://www\.w3\.org/[\w/]+", "", body.decode())
        assert not re.search(r"(https?|wss?)://\w", text), "refers to another server"


def test_a_first_visit_loads_little(server: Server, page: References) -> None:
    total = 0
    for path in ["/", *(urllib.parse.urljoin("/", url) for url in page.urls if not url.startswith("data:"))]:
        _, headers, body = get(server, path, Accept_Encoding="gzip")
        total += len(body)
        if headers["Content-Encoding"] == "gzip":
            assert gzip.decompress(body) == get(server, path)[2]
    assert total <= MAX_COMPRESSED_BYTES


def test_the_content_security_policy_allows_its_own_server_only(server: Server) -> None:
    _, headers, _ = get(server, "/")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_it_is_loaded_again_only_when_it_changed(server: Server) -> None:
    for coding in ("identity", "gzip"):
        _, headers, _ = get(server, "/assets/app.js", Accept_Encoding=coding)
        assert headers["Cache-Control"] == "no-cache"
        assert "Accept-Encoding" in headers["Vary"]
        status, again, body = get(server, "/assets/app.js", Accept_Encoding=coding, If_None_Match=headers["ETag"])
        assert (status, body) == (304, b"")
        assert again["ETag"] == headers["ETag"]


def test_head_is_get_without_a_body_and_nothing_else_is_allowed(server: Server) -> None:
    _, full, body = get(server, "/assets/app.js")
    status, headers, nothing = get(server, "/assets/app.js", "HEAD")
    assert (status, nothing) == (200, b"")
    assert int(headers["Content-Length"]) == len(body)
    assert headers["ETag"] == full["ETag"]
    status, headers, _ = get(server, "/assets/app.js", "DELETE")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/assets/", "/assets/none.js", "/assets/../index.html", "/assets/%2e%2e/", "/app.js"])
def test_a_missing_file_is_not_found(server: Server, path: str) -> None:
    assert get(server, path)[0] == 404


def test_it_needs_no_token_as_it_holds_no_data_and_other_host_names_do_not_see_it(tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", READER)
    with Server(tmp_path / "skills.db", "--auth-token-file", str(tokens)) as server:
        assert get(server, "/")[0] == 200
        assert get(server, "/assets/app.js")[0] == 200
        assert get(server, "/", Host="rebound.example")[0] == 403
