"""Chromium driven by Playwright, whose expectations wait up to a timeout, and what happens in its pages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocket, expect, sync_playwright

from . import tools
from .paths import BUILD, JS
from .processes import DEADLINE

SCREENSHOTS = BUILD / "screenshots"
AXE = JS / "node_modules" / "axe-core" / "axe.min.js"

# What Chromium itself writes to the console where a connection fails or a response is an error: the page cannot
# prevent it.
_NETWORK = ("WebSocket connection to", "Failed to load resource")

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # pages of other origins are served from here as well
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Its timeout is the deadline of all tests."""
    program = tools.chromium()
    expect.set_options(timeout=DEADLINE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visitor's page of the dashboard, with the errors that occurred in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(DEADLINE * 1000)
        self.faults: list[str] = []
        self.requested: list[str] = []  # addresses, in order
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._on_console)
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("websocket", lambda socket: self.requested.append(socket.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_NETWORK):
            self.faults.append(message.text)

    def open(self, url: str) -> Page:
        self.page.goto(url)
        return self.page

    def screenshot(self, name: str) -> None:
        """An artefact of the run: build/screenshots/<name>.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    def serious_violations(self) -> list[str]:
        """Serious and critical violations that axe-core finds, as "rule: element"."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("() => axe.run()")
        return [
            f"{violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]


@contextmanager
def visit(browser: Browser, **options: object) -> Iterator[Visit]:
    """A first visit. At the end the page must have had no errors."""
    context = browser.new_context(**options)  # type: ignore[arg-type]
    try:
        visitor = Visit(context)
        yield visitor
        assert visitor.faults == []
    finally:
        context.close()


class Events:
    """What happens in a page, as lines.

    `@console <text>`, `@message <text>` for a received WebSocket frame, `@close` for a closed WebSocket,
    `@response <status> <url>`, `@pageerror <text>`. The browser's WebSocket is not replaced.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.seen: list[str] = []
        self._read = 0  # so many of them
        page.on("console", lambda message: self.seen.append(f"@console {message.text}"))
        page.on("response", lambda response: self.seen.append(f"@response {response.status} {response.url}"))
        page.on("pageerror", lambda error: self.seen.append(f"@pageerror {error}"))
        page.on("websocket", self._on_websocket)

    def _on_websocket(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self.seen.append(f"@message {payload}"))
        socket.on("close", lambda _: self.seen.append("@close"))

    def wait_for(self, wanted: str) -> str:
        """The first line, after the one returned before, that contains this regular expression."""
        end = time.monotonic() + DEADLINE
        while True:
            for line in self.seen[self._read :]:
                self._read += 1
                if re.search(wanted, line):
                    return line
            assert time.monotonic() < end, "\n".join([f"no such event: {wanted}", *self.seen])
            self._page.wait_for_timeout(10)  # receives events meanwhile


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Events]:
    """A page, of a visitor who was never there. At the end it must have had no uncaught errors."""
    context = browser.new_context()
    try:
        page = context.new_page()
        events = Events(page)
        page.goto(url)
        yield events
        assert not [line for line in events.seen if line.startswith("@pageerror")]
    finally:
        context.close()
