"""Alerts on the dashboard, detected by a real server: shown, announced, explained, acknowledged and muted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from support.browser import Visit, visit
from support.dashboard import ago, alert, expect_live, expect_no_overflow, row, url_of
from support.databases import locked
from support.histories import fill, invocations
from support.processes import Server
from support.tokens import READER, write_secret

PER_SESSION = 4
SESSIONS = itertools.count()


def uses(count: int, newest: float, *, spacing: float = 1.0, **fields: object) -> Iterator[dict[str, Any]]:
    """Invocations of pytest-run, `spacing` minutes apart, the last `newest` minutes ago, few in each session."""
    for index in range(count):
        if index % PER_SESSION == 0:
            session_id = f"session-{next(SESSIONS)}"
        at = ago(newest + (count - 1 - index) * spacing)
        for one in invocations("pytest-run", 1, session_id=session_id, newest=at):
            yield {**one, **fields}


def failing(count: int, newest: float = 0.0) -> Iterator[dict[str, Any]]:
    return uses(count, newest, spacing=0.05, completed=False, error_type="timeout")


def fill_history(db_path: Path, **fields: object) -> None:
    """Three days in which nothing changes."""
    fill(db_path, uses(600, 120, spacing=6.0, **fields))


@pytest.fixture
def failing_db(db_path: Path) -> Path:
    """A database whose skill has an alert from the start."""
    fill_history(db_path)
    fill(db_path, failing(40, 2.0))
    return db_path


def announced(page: Page) -> Any:
    return expect(page.get_by_test_id("announcements"))


def test_an_alert_appears_and_ends_and_both_are_announced(visitor: Visit, db_path: Path) -> None:
    fill_history(db_path)
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        expect(page.get_by_test_id("alerts")).to_contain_text("No alert")
        fill(db_path, failing(40, 2.0))
        card = alert(page, "pytest-run")
        expect(card).to_contain_text("Success rate fell")
        expect(card).to_contain_text(re.compile(r"9\d\.\d %|100 %"))
        announced(page).to_contain_text("Alert in pytest-run: success rate fell")
        expect(page.get_by_test_id("toast")).to_contain_text("Success rate fell")
        expect(row(page, "pytest-run")).to_contain_text("Alert: Success rate fell")
        expect(page.get_by_test_id("changes")).to_contain_text("ongoing")
        visitor.screenshot("alert")
        fill(db_path, uses(200, 0, spacing=0.005))
        announced(page).to_contain_text("pytest-run is back to normal")
        expect(card).to_have_count(0)
        expect(page.get_by_test_id("changes")).to_contain_text("recovered after")


def test_a_continuing_alert_is_announced_once(visitor: Visit, db_path: Path) -> None:
    """A live region that repeated itself with each update would drown out everything else for screen readers."""
    fill_history(db_path)
    with Server(db_path, interval="50ms") as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        page.evaluate(
            """() => {
              window.said = [];
              const region = document.querySelector('[data-testid=announcements]');
              new MutationObserver(() => window.said.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
            }"""
        )
        fill(db_path, failing(40, 1.0))
        announced(page).to_contain_text("Alert in pytest-run")
        for count in range(41, 46):
            fill(db_path, failing(1))
            expect(page.get_by_test_id("summary")).to_contain_text(f"{count} failed")
        assert len(list(filter(None, page.evaluate("() => window.said")))) == 1


def test_an_improvement_is_good_news_once(visitor: Visit, db_path: Path) -> None:
    fill_history(db_path, duration_seconds=60.0)
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        fill(db_path, uses(80, 0, spacing=0.02, duration_seconds=2.0))
        announced(page).to_contain_text("Improvement in pytest-run: faster, from 1 min to 2.0 s")
        expect(page.get_by_test_id("changes")).to_contain_text("improvement")
        expect(alert(page, "pytest-run")).to_have_count(0)
        page.reload()
        expect(page.get_by_test_id("changes")).to_contain_text("Faster")
        expect(page.get_by_test_id("toast")).to_have_count(0)


def test_an_alert_explains_itself_on_the_page_of_its_skill(visitor: Visit, failing_db: Path) -> None:
    with Server(failing_db) as server:
        page = visitor.open(f"{url_of(server)}#/skill/pytest-run")
        card = page.get_by_test_id("alert")
        expect(card).to_contain_text(re.compile(r"from 100 % between \d.*n\s=\s\d+→to \d.*n\s=\s\d"))
        expect(card).to_contain_text(re.compile(r"Since .*\d\d:\d\d"))
        expect(card).to_contain_text(re.compile(r"\d+ failures in a row · by chance once in (more than )?[\d,]+ "))
        expect(card.get_by_role("list", name="Errors that increased")).to_contain_text(re.compile("timeout 0 % → .* %"))
        expect(card).to_contain_text(re.compile(r"In .*sessions"))
        expect(page.get_by_test_id("history")).to_contain_text("Alerts in this time range")
        line = page.get_by_test_id("history").get_by_role("listitem").filter(has_text="Success rate fell")
        line.locator("summary").click()
        expect(line).to_contain_text("by chance once in")
        visitor.screenshot("alert-explained")
        assert visitor.serious_violations() == []


def test_an_alert_is_acknowledged_with_a_note_by_the_keyboard(visitor: Visit, failing_db: Path) -> None:
    with Server(failing_db) as server:
        page = visitor.open(url_of(server))
        card = alert(page, "pytest-run")
        card.get_by_role("button", name="Acknowledge").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Acknowledge the alert of pytest-run")
        expect(dialog).to_be_visible()
        assert visitor.serious_violations() == []
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(card.get_by_role("button", name="Acknowledge")).to_be_focused()

        page.keyboard.press("Enter")
        dialog.get_by_label("Note").fill("the disk is full")
        page.keyboard.press("Enter")
        announced(page).to_have_text("pytest-run is acknowledged.")
        expect(card).to_have_count(0)
        expect(page.get_by_role("heading", name="Alerts")).to_be_focused()
        expect(page.get_by_test_id("alerts")).to_contain_text("No alert")
        page.get_by_text("Acknowledged or muted (1)").click()
        expect(alert(page, "pytest-run")).to_contain_text("the disk is full")
        page.reload()
        page.get_by_text("Acknowledged or muted (1)").click()
        expect(alert(page, "pytest-run")).to_contain_text("the disk is full")
        expect(page.get_by_test_id("changes")).to_contain_text("acknowledged")


def test_a_skill_is_muted_with_a_reason_and_unmuted(visitor: Visit, failing_db: Path) -> None:
    with Server(failing_db) as server:
        page = visitor.open(url_of(server))
        card = alert(page, "pytest-run")
        card.get_by_role("button", name="Mute skill").click()
        dialog = page.get_by_role("dialog", name="Mute pytest-run")
        dialog.get_by_label("until removed").check()
        dialog.get_by_label("Reason").fill("it is being rewritten")
        visitor.screenshot("mute")
        assert visitor.serious_violations() == []
        dialog.get_by_role("button", name="Mute", exact=True).click()
        announced(page).to_have_text("pytest-run is muted.")
        expect(card).to_have_count(0)
        page.reload()
        page.get_by_text("Muted skills (1)").click()
        mutes = page.get_by_test_id("mutes")
        expect(mutes).to_contain_text("muted until it is removed: it is being rewritten")
        expect(row(page, "pytest-run")).not_to_contain_text("Alert:")
        mutes.get_by_role("link", name="pytest-run").click()
        expect(page.get_by_test_id("alerts")).to_contain_text("muted until it is removed")
        page.get_by_role("button", name="Unmute pytest-run").click()
        announced(page).to_have_text("pytest-run is no longer muted.")
        expect(page.get_by_role("button", name="Mute…")).to_be_visible()
        page.go_back()
        expect(card).to_be_visible()
        expect(page.get_by_test_id("toast")).to_have_count(0)  # the viewer knows it already


def test_a_change_that_fails_says_why_and_can_be_repeated(visitor: Visit, failing_db: Path) -> None:
    with Server(failing_db) as server:
        page = visitor.open(url_of(server))
        alert(page, "pytest-run").get_by_role("button", name="Acknowledge").click()
        dialog = page.get_by_test_id("alert-dialog")
        with locked(failing_db):
            dialog.get_by_role("button", name="Acknowledge").click()
            expect(dialog.get_by_role("alert")).to_contain_text("Not acknowledged: ")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(dialog).to_be_hidden()
        expect(alert(page, "pytest-run")).to_have_count(0)


def test_a_token_without_the_scope_write_cannot_acknowledge(visitor: Visit, failing_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", READER)
    with Server(failing_db, "--auth-token-file", str(tokens)) as server:
        page = visitor.open(url_of(server))
        page.get_by_role("textbox", name="Token").fill(READER)
        page.keyboard.press("Enter")
        alert(page, "pytest-run").get_by_role("button", name="Acknowledge").click()
        dialog = page.get_by_test_id("alert-dialog")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(dialog.get_by_role("alert")).to_contain_text("lacks the scope write")
        dialog.get_by_role("button", name="Cancel").click()
        expect_live(page)
        expect(alert(page, "pytest-run")).to_be_visible()


def test_without_alerts_the_page_says_so_and_marks_deviations(visitor: Visit, failing_db: Path) -> None:
    with Server(failing_db, "--alert-budget", "off") as server:
        page = visitor.open(url_of(server))
        expect(page.get_by_test_id("alerts")).to_contain_text("Alerts are off (alert_budget).")
        expect(page.get_by_test_id("changes")).to_contain_text("Alerts are off (alert_budget).")
        expect(row(page, "pytest-run")).to_contain_text("Success rate below the baseline, 100 % → ")
        expect(page.get_by_test_id("toast")).to_have_count(0)
        row(page, "pytest-run").get_by_role("link").click()
        expect(page.get_by_test_id("deviation")).to_contain_text("Success rate below the baseline")
        page.get_by_text(re.compile(r"Deviations \(\d+\)")).click()
        expect(page.get_by_role("table", name="Deviations from the baseline")).to_contain_text("open")
        visitor.screenshot("alerts-off")
        assert visitor.serious_violations() == []


def test_an_older_server_without_alerts_does_not_break_the_page(visitor: Visit, failing_db: Path) -> None:
    def missing(route: Route) -> None:
        route.fulfill(status=404, content_type="application/problem+json", body='{"error": "not_found"}')

    with Server(failing_db, "--alert-budget", "off") as server:
        visitor.page.route("**/api/v1/alerts?*", missing)
        page = visitor.open(url_of(server))
        expect_live(page)
        expect(row(page, "pytest-run")).to_contain_text("Success rate below the baseline")
        expect(page.get_by_test_id("changes")).not_to_contain_text("Not up to date")
        row(page, "pytest-run").get_by_role("link").click()
        expect(page.locator("canvas")).to_have_count(3)
        expect(page.get_by_role("button", name="Mute…")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 740), (1024, 768), (2560, 1440)], ids=["phone", "laptop", "wide"])
def test_alerts_have_no_serious_accessibility_violations(
    browser: Browser, failing_db: Path, scheme: str, size: tuple[int, int]
) -> None:
    viewport = {"width": size[0], "height": size[1]}
    with Server(failing_db) as server, visit(browser, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.open(url_of(server))
        expect(alert(page, "pytest-run")).to_be_visible()
        assert visitor.serious_violations() == []
        expect_no_overflow(page)
        visitor.screenshot(f"alerts-{size[0]}-{scheme}")
