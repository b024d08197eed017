"""One Chromium for all tests of this folder; each test has its own pages, cookies and storage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from support.browser import Visit, chromium, visit


@pytest.fixture(scope="package")  # not of the session: while it runs, no test of asyncio can
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visit]:
    with visit(browser, viewport={"width": 1280, "height": 900}) as one:
        yield one
