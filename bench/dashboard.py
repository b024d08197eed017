"""Benchmarks of the dashboard in Chromium: transferred bytes, time to first data, heap growth per hour."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from parts import Result, Scale, Skipped, spread, target
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright
from programs import Database, Running, our_server

SKILLS = 50
UPDATE_INTERVAL = 1.0
# An hour of updates, one per second, is replayed at this interval. The page cannot see the difference.
REPLAY_INTERVAL = 0.02
HOUR = 3600
FIRST_UPDATE_MS = 1000
COMPRESSED_KB = 100

# Records when the first data is on the screen: the frame after a row was added to a table.
WATCH_FIRST_ROW = """
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) (window.longTasks ??= []).push(task.duration);
  }).observe({type: 'longtask', buffered: true});
  const observer = new MutationObserver(() => {
    if (!document.querySelector('main table tbody tr')) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => { window.firstRowAt = performance.now(); }));
  });
  observer.observe(document, {childList: true, subtree: true});
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run the Chromium of the system without its background network requests."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise Skipped("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def compressed_bytes(server: Running) -> dict[str, int]:
    """Compressed size of each file that a first visit loads, by path."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    sizes: dict[str, int] = {}
    for path in ("/", "/assets/app.js", "/assets/app.css"):
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: HTTP status {answer.status}")
        sizes[path] = len(body)
    connection.close()
    return sizes


class DashboardBench:
    """The benchmarks that need a browser."""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.folder = folder

    def parts(self) -> dict[str, Callable[[], Result]]:
        """Return the benchmarks by name."""
        return {"dashboard": self.dashboard}

    def dashboard(self) -> Result:
        """Measure visits with one server, and an hour of updates, replayed within minutes, with another."""
        database = Database(self.folder / "dashboard.db", SKILLS)
        with chromium() as browser:
            with our_server(database.path, UPDATE_INTERVAL) as server:
                sizes = compressed_bytes(server)
                visits = [self._visit(browser, server) for _ in range(max(self.scale.rounds, 3))]
            updates = HOUR if self.scale.seconds > 10 else HOUR // 10
            with our_server(database.path, REPLAY_INTERVAL) as server, database.in_use():
                hour = self._hour(browser, server, updates)
        total = sum(sizes.values()) / 1024
        firsts = [visit["first_update_ms"] for visit in visits]
        grown = (hour["heap_after"] - hour["heap_before"]) / 1024
        rows = [
            target("dashboard: first visit, compressed", f"≤ {COMPRESSED_KB} KB", f"{total:.1f}", "KB"),
            target("dashboard: metrics on the screen after", f"≤ {FIRST_UPDATE_MS} ms", spread(firsts, 0), "ms"),
            target("dashboard: heap growth in an hour of updates", "", f"{grown:+,.0f}", "KB"),
        ]
        heap = f"{hour['heap_before'] / 1e6:.2f} and {hour['heap_after'] / 1e6:.2f} MB"
        long_tasks = f"{hour['long_tasks']}, the longest {hour['longest_ms']:.0f} ms"
        table = [
            ["first visit, compressed", ", ".join(f"`{path}` {size / 1024:.1f} KB" for path, size in sizes.items())],
            ["metrics on the screen after", f"{spread(firsts, 0)} ms"],
            ["long tasks (over 50 ms) of a visit", spread([float(visit["long_tasks"]) for visit in visits], 0)],
            ["JavaScript heap before and after", heap],
            ["nodes of the document before and after", f"{hour['nodes_before']:,} and {hour['nodes_after']:,}"],
            [f"long tasks in {hour['updates']:,} updates", long_tasks],
            ["time in tasks, one update", f"{hour['task_ms']:.2f} ms"],
        ]
        return Result(rows, ["metric", "value"], table, [*visits, hour])

    def _visit(self, browser: Browser, server: Running) -> dict[str, Any]:
        """Visit the page with an empty cache."""
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(WATCH_FIRST_ROW)
        page.goto(f"http://127.0.0.1:{server.port}/", wait_until="commit")
        first = page.wait_for_function("() => window.firstRowAt", timeout=10_000).json_value()
        long_tasks = page.evaluate("() => (window.longTasks ?? []).length")
        context.close()
        return {"first_update_ms": first, "long_tasks": long_tasks}

    def _hour(self, browser: Browser, server: Running, updates: int) -> dict[str, Any]:
        """Measure an hour of updates; heap and nodes are counted after a garbage collection."""
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(WATCH_FIRST_ROW)
        received: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda _: received.append(1)))
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_function("() => window.firstRowAt", timeout=10_000)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        self._wait_for(page, received, updates // 20)  # caches and buffers are full now
        before = self._counted(session)
        page.evaluate("() => { window.longTasks = []; }")
        start = len(received)
        self._wait_for(page, received, start + updates)
        after = self._counted(session)
        tasks = page.evaluate("() => window.longTasks")
        context.close()
        done = len(received) - start
        return {
            "updates": done,
            "heap_before": before["heap"],
            "heap_after": after["heap"],
            "nodes_before": before["nodes"],
            "nodes_after": after["nodes"],
            "long_tasks": len(tasks),
            "longest_ms": max(tasks, default=0.0),
            "task_ms": (after["task_seconds"] - before["task_seconds"]) * 1000 / done,
        }

    @staticmethod
    def _wait_for(page: Page, received: list[int], count: int) -> None:
        limit = time.monotonic() + 600
        while len(received) < count:
            if time.monotonic() > limit:
                raise RuntimeError(f"only {len(received)} of {count} updates came")
            page.wait_for_timeout(100)

    @staticmethod
    def _counted(session: CDPSession) -> dict[str, Any]:
        for _ in range(3):
            session.send("HeapProfiler.collectGarbage")
        metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
        return {
            "heap": int(metrics["JSHeapUsedSize"]),
            "nodes": int(metrics["Nodes"]),
            "task_seconds": metrics["TaskDuration"],
        }
