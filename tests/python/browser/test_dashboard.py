"""The dashboard end to end: headless Chromium, a real server, a real database that changes meanwhile."""

from __future__ import annotations

import re
import signal
import urllib.parse
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from support.browser import Visit, visit
from support.dashboard import ago, expect_live, expect_no_overflow, row, url_of
from support.histories import fill, invocations
from support.hook_events import Event, failure, post, pre
from support.ingestion import HOOKS, send
from support.processes import Server
from support.reverse_proxy import Nginx, free_port
from support.tokens import READER, write_secret

# Names that a malicious or careless tool could report.
HOSTILE = {
    "markup": '<img src=x onerror="document.title=1">',
    "script": "</script><script>document.title='owned'</script>",
    "quotes": "\"'`${document.title=1}\\",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "override": "safe\u202egnp.exe",
    "emoji": "🧪 \U0001f469\u200d\U0001f4bb run",
    "256 bytes": "n" * 256,
    "path": "../../a/b?c=d#e%2F&f=g",
    "zero width": "zero\u200bwidth",
}


def server_row(page: Page, name: str) -> Locator:
    """The row of an MCP server in the table."""
    button = page.get_by_role("button", name=name, exact=True)
    return page.get_by_role("table", name="MCP servers with their metrics").get_by_role("row").filter(has=button)


def shell(tool_id: str, command: str, *, failed: bool = False, output: str = "", **fields: object) -> Event:
    """The event of a finished shell command."""
    fields = {"tool_input": {"command": command}, "duration_ms": 1200, **fields}
    if failed:
        return failure(tool_id, "Exit code 1", **fields)
    return post(tool_id, "Bash", tool_response={"stdout": output, "stderr": "", "interrupted": False}, **fields)


def submit(server: Server, *events: Event) -> None:
    for event in events:
        assert send(server, HOOKS, event)[0] in (200, 202, 204)


# ---- Metrics


def test_updates_arrive(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        expect(row(page, "pytest-run")).to_contain_text("87.5 %")
        expect(row(page, "pytest-run")).to_contain_text("n = 8")
        fill(filled_db, invocations("pytest-run", 3), invocations("ruff-check", 1))
        expect(row(page, "pytest-run")).to_contain_text("n = 11")
        expect(row(page, "ruff-check")).to_be_visible()
        expect(page.get_by_test_id("summary")).to_contain_text("14")
        expect(page.get_by_test_id("summary")).to_contain_text("1 failed")
        visitor.screenshot("overview")


def test_old_data_is_marked_as_old(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        server.process.send_signal(signal.SIGSTOP)
        try:
            expect(page.get_by_test_id("freshness")).to_contain_text(re.compile(r"Data is \d+ s old"))
            expect(page.get_by_test_id("connection")).to_have_text("No new data")
            visitor.screenshot("stale")
        finally:
            server.process.send_signal(signal.SIGCONT)
        expect_live(page)


def test_a_database_with_only_old_data_shows_it_without_evaluating_it(visitor: Visit, db_path: Path) -> None:
    old = ago(12 * 24 * 60)
    fill(db_path, invocations("pytest-run", 40, completed=30, newest=old), invocations("mypy", 8, newest=old))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        expect(page.get_by_test_id("idle")).to_contain_text("No invocation in the last 24 h; the last one was 12 d ago")
        expect(page.get_by_test_id("summary")).to_contain_text(re.compile(r"all time\s*48\s*10 failed"))
        expect(page.get_by_test_id("alerts")).to_contain_text("Nothing to evaluate in the last 24 h")
        expect(row(page, "pytest-run")).to_contain_text(re.compile("40.*75.0 %.*n = 40"))
        expect(page.get_by_role("contentinfo")).to_contain_text(f"Database {db_path}")
        visitor.screenshot("old")
        page.get_by_role("link", name="pytest-run").click()
        expect(page.get_by_test_id("history")).to_contain_text("History up to the last invocation")
        expect(page.get_by_test_id("history")).to_contain_text("As a table (40 invocations)")
        page.go_back()
        fill(db_path, invocations("pytest-run", 3))  # and back to the window as soon as it contains an invocation
        expect(page.get_by_test_id("idle")).to_have_count(0)
        expect(row(page, "pytest-run")).to_contain_text("n = 3")
        expect(page.get_by_test_id("alerts")).to_contain_text("No alert: no skill has changed")


def test_the_page_says_when_more_skills_come_than_are_tracked(visitor: Visit, db_path: Path) -> None:
    fill(db_path, *(invocations(f"skill-{number}", 1) for number in range(10)))
    with Server(db_path, "--max-tracked-skills", "10") as server:
        page = visitor.open(url_of(server))
        expect(page.get_by_test_id("summary")).to_contain_text(re.compile(r"Skills\s*10"))
        expect(page.get_by_test_id("limits")).to_have_count(0)
        fill(db_path, invocations("one-more", 1))
        expect(page.get_by_test_id("limits")).to_have_text(
            "More skills than max_tracked_skills: the rest is summed as other."
        )
        visitor.screenshot("limits")


def test_an_empty_database_says_how_to_record_a_first_invocation(visitor: Visit, db_path: Path) -> None:
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        expect(page.get_by_test_id("empty")).to_contain_text("session-buddy hooks install")
        visitor.screenshot("empty")
        assert visitor.serious_violations() == []
        fill(db_path, invocations("pytest-run", 1))
        expect(row(page, "pytest-run")).to_be_visible()


def test_rates_are_of_known_outcomes_and_unknown_ones_are_shown_next_to_them(visitor: Visit, db_path: Path) -> None:
    with Server(db_path) as server:
        submit(
            server,
            *(shell(f"plain-{number}", "pytest -q", failed=number == 0) for number in range(4)),
            *(shell(f"masked-{number}", "pytest -q 2>&1 | tail -3") for number in range(2)),
            *(shell(f"only-{number}", "mypy src || true") for number in range(3)),
        )
        page = visitor.open(url_of(server))
        expect(row(page, "pytest-run")).to_contain_text(re.compile("6.*75.0 %.*n = 4.*2 unknown"))
        expect(row(page, "mypy")).to_contain_text(re.compile(r"mypy.*3\s*unknown"))
        expect(row(page, "mypy")).not_to_contain_text("%")
        summary = page.get_by_test_id("summary")
        expect(summary).to_contain_text(re.compile(r"9\s*1 failed, 5 unknown.*75.0 %"))
        expect(page.get_by_test_id("sessions")).to_contain_text("9 invocations · 1 failed, 5 unknown")
        visitor.screenshot("unknown")
        assert visitor.serious_violations() == []

        row(page, "mypy").get_by_role("link").click()
        expect(summary).to_contain_text(re.compile("Success rate.*unknown.*no known outcome"))
        expect(page.get_by_role("figure").first).to_contain_text("outcome unknown")
        invocations_chart = page.get_by_role("img", name="Invocations: 3 invocations, 0 failed, 3 unknown")
        expect(invocations_chart).to_be_visible()
        expect(page.get_by_role("img", name="Success rate: unknown")).to_be_visible()
        page.get_by_text("As a table (3 invocations)").click()
        expect(page.get_by_role("region", name="Chart data").get_by_role("columnheader")).to_contain_text(
            ["From", "Invocations", "Failed", "Unknown", "Success rate", "Median", "95th percentile"]
        )
        expect(page.get_by_test_id("phases").get_by_role("row").last).to_contain_text(re.compile("3.*3.*unknown"))
        visitor.screenshot("unknown-skill")
        assert visitor.serious_violations() == []

        summary.get_by_role("link", name="3 unknown").focus()  # the explanation, by keyboard
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="About the metrics", level=1)).to_be_focused()
        expect(page).to_have_title(re.compile("About the metrics"))
        assert visitor.serious_violations() == []


def test_a_correction_changes_the_rate(visitor: Visit, db_path: Path) -> None:
    """An outcome that becomes known later replaces an unknown one: the same invocation, not another one."""
    with Server(db_path) as server:
        submit(server, shell("one", "pytest -q | tail -3"), shell("two", "pytest -q"))
        page = visitor.open(url_of(server))
        expect(row(page, "pytest-run")).to_contain_text(re.compile("2.*100 %.*n = 1.*1 unknown"))
        submit(server, shell("one", "pytest -q | tail -3", output="===== 1 failed, 3 passed in 0.12s ====="))
        expect(row(page, "pytest-run")).to_contain_text(re.compile("2.*50.0 %.*n = 2"))
        expect(row(page, "pytest-run")).not_to_contain_text("unknown")


def test_median_and_p95_are_shown_next_to_the_mean(visitor: Visit, db_path: Path) -> None:
    fill(db_path, invocations("skewed", 9, duration=1.0), invocations("skewed", 1, duration=21.0))
    fill(db_path, invocations("steady", 12, duration=2.0))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        cells = row(page, "skewed").locator("td.col-duration")
        # The mean is exact, quantiles are estimated within 4 %.
        expect(cells).to_have_text(["3.0 s", re.compile(r"^(9[6-9]\d ms|1\.0 s)$"), re.compile(r"^\d+(\.\d)? s$")])
        links = page.get_by_role("table", name="Skills with their metrics").locator("tbody").get_by_role("link")
        page.get_by_role("button", name="Mean duration").click()
        expect(links).to_have_text(["skewed", "steady"])
        page.get_by_role("button", name="Median duration").click()
        expect(links).to_have_text(["steady", "skewed"])
        page.get_by_role("button", name="p95 duration").click()
        expect(links).to_have_text(["skewed", "steady"])
        row(page, "skewed").get_by_role("link").click()
        expect(page.get_by_test_id("summary")).to_contain_text(
            re.compile(r"Mean duration\s*3.0 s\s*median (9\d\d ms|1.0 s), 95th percentile")
        )


def test_upper_bounds_replace_the_mean_by_quantiles_and_say_why(visitor: Visit, db_path: Path) -> None:
    with Server(db_path) as server:
        # Without duration_ms only the times of both events are known, and a wait for approval can lie between them.
        for number in range(3):
            submit(server, pre(f"read-{number}"), post(f"read-{number}"))
        page = visitor.open(url_of(server))
        cells = row(page, "Read").locator("td.col-duration")
        expect(cells).to_have_text(["\N{EN DASH}", re.compile(r"^≤ \d"), re.compile(r"^≤ \d")])
        expect(cells.locator("[title^='Upper bounds']")).to_have_count(3)
        row(page, "Read").get_by_role("link").click()
        summary = page.get_by_test_id("summary")
        expect(summary).to_contain_text(re.compile(r"Median duration\s*≤ \d.*95th percentile ≤ \d"))
        expect(summary).not_to_contain_text("Mean duration")
        expect(page.get_by_role("figure").last).to_contain_text("median, may include waits")
        expect(page.get_by_test_id("phases")).not_to_contain_text("Mean duration")
        visitor.screenshot("bounds")
        assert visitor.serious_violations() == []
        summary.get_by_role("link", name="may include waits").click()
        expect(page.get_by_role("heading", name="Durations")).to_be_visible()


def test_mcp_servers_sum_their_tools(visitor: Visit, db_path: Path) -> None:
    fill(
        db_path,
        invocations("mcp__github__search", 3),
        invocations("mcp__github__merge", 2, completed=1),
        invocations("mcp__slack__post", 1),
        invocations("pytest-run", 9),
    )
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        page.get_by_role("button", name="MCP servers").click()
        github = server_row(page, "github")
        expect(github).to_contain_text(re.compile(r"2 tools.*5\s*80.0 %.*n = 5.*5.2 s"))
        expect(server_row(page, "slack")).to_contain_text("1 tool")
        expect(row(page, "pytest-run")).to_have_count(0)
        expect(page.get_by_test_id("skills")).to_contain_text("2 MCP servers")

        expander = page.get_by_role("button", name="github", exact=True)
        expect(expander).to_have_attribute("aria-expanded", "false")
        expander.focus()
        page.keyboard.press("Enter")
        expect(expander).to_have_attribute("aria-expanded", "true")
        expect(row(page, "search")).to_contain_text(re.compile(r"3\s*100 %"))
        expect(row(page, "merge")).to_contain_text(re.compile(r"2\s*50.0 %"))
        visitor.screenshot("servers")
        assert visitor.serious_violations() == []

        fill(db_path, invocations("mcp__github__merge", 3), invocations("mcp__github__review", 1))
        expect(github).to_contain_text(re.compile("3 tools.*9"))
        expect(row(page, "review")).to_be_visible()
        page.get_by_role("button", name="Success rate").click()
        expect(page.get_by_role("row").nth(1)).to_contain_text("github")
        page.set_viewport_size({"width": 360, "height": 740})
        expect(github).to_be_visible()
        expect_no_overflow(page)

        page.get_by_role("searchbox").fill("SLA")
        expect(github).to_have_count(0)
        expect(server_row(page, "slack")).to_be_visible()
        page.get_by_role("searchbox").fill("none")
        expect(page.get_by_test_id("skills")).to_contain_text("No MCP server has a name that contains this text.")
        page.get_by_role("searchbox").fill("")
        row(page, "search").get_by_role("link").click()
        expect(page.get_by_role("heading", name="mcp__github__search", level=1)).to_be_visible()


# ---- Navigation


def test_search_and_filters_find_skills_beyond_the_top_ten(visitor: Visit, db_path: Path) -> None:
    fill(db_path, *(invocations(f"skill-{number:02}", 30 - number) for number in range(25)))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        page.get_by_role("searchbox", name="Search for a skill").fill("LL-24")
        expect(row(page, "skill-24")).to_be_visible()
        expect(row(page, "skill-00")).to_have_count(0)
        page.get_by_role("searchbox").fill("nothing like it")
        expect(page.get_by_test_id("skills")).to_contain_text(re.compile("no skill", re.IGNORECASE))
        page.get_by_role("searchbox").fill("")
        expect(row(page, "skill-00")).to_be_visible()
        page.get_by_role("button", name="With deviations").click()
        expect(row(page, "skill-00")).to_have_count(0)


def test_columns_sort_by_the_keyboard_and_say_so(visitor: Visit, db_path: Path) -> None:
    fill(db_path, invocations("quick", 9, duration=0.1), invocations("slow", 3, duration=60.0))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        links = page.get_by_role("table", name="Skills with their metrics").locator("tbody").get_by_role("link")
        expect(links).to_have_text(["quick", "slow"])
        page.get_by_role("button", name="Mean duration").focus()
        page.keyboard.press("Enter")
        expect(links).to_have_text(["slow", "quick"])
        expect(page.get_by_role("columnheader", name="Mean duration")).to_have_attribute("aria-sort", "descending")
        page.keyboard.press("Enter")
        expect(links).to_have_text(["quick", "slow"])
        expect(page.get_by_role("columnheader", name="Mean duration")).to_have_attribute("aria-sort", "ascending")


def test_a_skill_has_a_page_with_history_and_errors(visitor: Visit, db_path: Path) -> None:
    failures = [{**run, "error_type": "timeout"} for run in invocations("pytest-run", 8, completed=0)]
    fill(db_path, invocations("pytest-run", 60, newest=ago(90)), iter(failures))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        row(page, "pytest-run").get_by_role("link").click()
        expect(page.get_by_role("heading", name="pytest-run", level=1)).to_be_visible()
        expect(page).to_have_title(re.compile("pytest-run"))
        expect(page.get_by_role("figure").locator("canvas")).to_have_count(3)
        errors = page.get_by_role("table", name="Failed invocations by error type")
        expect(errors.get_by_role("row", name="timeout 8")).to_be_visible()
        with page.expect_response(lambda answer: "/api/v1/series" in answer.url and answer.ok):
            page.get_by_role("radio", name="7 d").check()
        visitor.screenshot("skill")
        assert visitor.serious_violations() == []
        page.get_by_role("link", name="All skills").click()
        expect(row(page, "pytest-run")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="pytest-run", level=1)).to_be_visible()


def test_a_page_of_a_skill_that_never_ran_says_so(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as server:
        page = visitor.open(f"{url_of(server)}#/skill/never")
        expect(page.get_by_test_id("unknown-skill")).to_be_visible()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_is_shown_as_text(visitor: Visit, db_path: Path, name: str) -> None:
    fill(db_path, invocations("before", 5), invocations(name, 3), invocations("after", 1))
    with Server(db_path) as server:
        page = visitor.open(url_of(server))
        expect(page.get_by_role("table", name="Skills with their metrics").locator("tbody tr")).to_have_count(3)
        shown = page.locator("tbody tr").nth(1).get_by_role("link")
        text = shown.inner_text()
        assert text == re.sub(r"[\u202e\u200b]", lambda hidden: f"U+{ord(hidden[0]):04X}", name)
        expect_no_overflow(page)
        shown.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(text)
        expect(page.locator("dl dd").first).to_have_text("3")
        assert urllib.parse.quote(name, safe="-_.!~*'()") in page.url
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text(text)
        assert page.locator("img[src=x]").count() == 0
        visitor.screenshot(f"hostile-{'-'.join(key for key, value in HOSTILE.items() if value == name)}")


# ---- Connections


def test_it_reconnects_when_the_server_restarts(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as first:
        port = first.port
        page = visitor.open(url_of(first))
        expect_live(page)
    expect(page.get_by_test_id("connection")).to_contain_text("Reconnecting")
    expect(row(page, "pytest-run")).to_contain_text("n = 8")  # the last metrics stay
    expect(page.get_by_test_id("banner")).to_contain_text("not responding")
    visitor.screenshot("broken")
    assert visitor.serious_violations() == []
    fill(filled_db, invocations("pytest-run", 1))
    with Server(filled_db, port=port):
        expect_live(page)
        expect(row(page, "pytest-run")).to_contain_text("n = 9")
        expect(page.get_by_test_id("banner")).to_have_count(0)


def test_it_shows_that_the_database_cannot_be_read(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        kept = filled_db.with_suffix(".kept")
        filled_db.rename(kept)
        page.reload()
        expect(page.get_by_test_id("banner")).to_contain_text("cannot read its database")
        kept.rename(filled_db)


def test_it_asks_for_a_token_and_keeps_it_out_of_every_address(visitor: Visit, filled_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", READER)
    with Server(filled_db, "--auth-token-file", str(tokens), "--max-auth-failures-per-second", "100") as server:
        page = visitor.open(url_of(server))
        dialog = page.get_by_test_id("token-dialog")
        expect(dialog).to_be_visible()
        visitor.screenshot("token")
        assert visitor.serious_violations() == []
        for _ in range(3):  # Chromium ignores a page that would keep its dialog open permanently
            page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.get_by_role("button", name="Token required").click()
        expect(dialog).to_be_visible()
        dialog.get_by_label("Token").fill("not-the-token")
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_role("alert")).to_be_visible()
        dialog.get_by_label("Token").fill(READER)
        page.keyboard.press("Enter")
        expect_live(page)
        expect(dialog).to_be_hidden()
        expect(row(page, "pytest-run")).to_contain_text("n = 8")
        page.reload()
        expect_live(page)  # stored for this tab
        assert [url for url in visitor.requested if READER in url] == []
        assert READER not in page.url
        assert READER not in page.evaluate("() => JSON.stringify(localStorage) + document.cookie")
    assert READER not in "\n".join(server.drain())


PROXY = """
events {{ worker_connections 64; }}
http {{
    include {folder}/conf.d/*.conf;
    access_log off;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Host $host:$server_port;
        location /deep/skills/ {{ proxy_pass http://127.0.0.1:{server_port}/; }}
    }}
}}
"""


def test_it_works_below_a_path_of_nginx(visitor: Visit, db_path: Path, tmp_path: Path) -> None:
    fill(db_path, invocations("mcp/tool", 4))
    folder, port = tmp_path / "nginx", free_port()
    with (
        Server(db_path) as server,
        Nginx(folder, PROXY.format(folder=folder, port=port, server_port=server.port), port),
    ):
        page = visitor.open(f"http://localhost:{port}/deep/skills/")
        expect_live(page)
        row(page, "mcp/tool").get_by_role("link").click()
        expect(page.get_by_role("figure").locator("canvas")).to_have_count(3)
        page.reload()
        expect(page.get_by_role("heading", name="mcp/tool")).to_be_visible()
    hosts = {urllib.parse.urlsplit(url).netloc for url in visitor.requested}
    assert hosts == {f"localhost:{port}"}
    paths = {urllib.parse.urlsplit(url).path for url in visitor.requested}
    assert all(path.startswith("/deep/skills/") for path in paths), paths


# ---- Accessibility and themes


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 740), (1024, 768), (2560, 1440)], ids=["phone", "laptop", "wide"])
def test_it_has_no_serious_accessibility_violations(
    browser: Browser, db_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds no serious violation, and no content overflows horizontally."""
    fill(
        db_path,
        invocations("pytest-run", 60, newest=ago(90)),
        invocations("pytest-run", 8, completed=0),
        *(invocations(f"skill-{number}", number, completed=number // 2) for number in range(1, 10)),
    )
    viewport = {"width": size[0], "height": size[1]}
    with Server(db_path) as server, visit(browser, viewport=viewport, color_scheme=scheme) as visitor:
        page = visitor.open(url_of(server))
        expect(row(page, "skill-9")).to_be_visible()
        assert visitor.serious_violations() == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
        visitor.screenshot(f"{size[0]}-{scheme}")


def test_the_theme_can_be_changed_and_is_kept(visitor: Visit, filled_db: Path) -> None:
    with Server(filled_db) as server:
        page = visitor.open(url_of(server))
        expect_live(page)
        before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Switch to the dark theme").click()
        page.reload()
        expect(page.get_by_role("button", name="Switch to the light theme")).to_be_visible()
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before
