"""Ingests a large recorded session through every source, as test_hook_replay does."""

from __future__ import annotations

import pytest

from ingest.test_hook_replay import (
    Source,
    events,
    imported,
    test_all_sources_together_make_one_row_each,
    test_hook_processes_report_the_same_as_the_transcript,
    test_hook_requests_report_the_same_as_the_transcript,
    test_watch_reports_the_same_as_an_import,
)
from support.recorded import LARGE

# The tests are collected here again, with the source below.
__all__ = [
    "events",
    "imported",
    "source",
    "test_all_sources_together_make_one_row_each",
    "test_hook_processes_report_the_same_as_the_transcript",
    "test_hook_requests_report_the_same_as_the_transcript",
    "test_watch_reports_the_same_as_an_import",
]


@pytest.fixture(scope="module")
def source() -> Source:
    return Source([LARGE], uses=242, without_event=3)
