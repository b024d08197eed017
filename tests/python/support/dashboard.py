"""The dashboard in a browser: its parts as locators, and what every test expects of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from playwright.sync_api import Locator, Page, expect

from .processes import Server


def url_of(server: Server) -> str:
    return f"http://localhost:{server.port}/"


def row(page: Page, skill_name: str) -> Locator:
    """The row of a skill in the table."""
    link = page.get_by_role("link", name=skill_name, exact=True)
    return page.get_by_role("table", name="with their metrics").get_by_role("row").filter(has=link)


def expect_no_overflow(page: Page) -> None:
    width = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1], "the content overflows horizontally"


def expect_live(page: Page) -> None:
    expect(page.get_by_test_id("connection")).to_have_text("Live")


def alert(page: Page, skill_name: str) -> Locator:
    """The visible cards of the open alerts of a skill."""
    return page.get_by_test_id("alert").filter(has_text=skill_name, visible=True)


def ago(minutes: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(minutes=minutes)
