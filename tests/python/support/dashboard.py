"""The dashboard in a real browser: Chromium driven by Playwright, whose expectations wait up to a timeout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

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
    """One visitor's page, with the errors that occurred in it."""

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
