"""The demo shows alerts of the skill that degrades within its first minutes, and no other."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy.anomaly import backtest
from session_buddy.demo import LiveFeed, make_history
from session_buddy.demo.live import BAD_SKILL
from session_buddy.demo.transcript import make_transcript
from session_buddy.ingest import import_transcripts
from session_buddy.storage.skills_storage import SkillsStorage

START = datetime(2026, 2, 10, 15, tzinfo=timezone.utc)
BAD_AFTER, BAD_FOR, LENGTH = 60.0, 180.0, 600.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_degraded_skill_is_alerted_within_its_minutes_and_no_other(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    now = START.timestamp()
    path = tmp_path / "session.jsonl"
    database = tmp_path / "skills.db"
    feed = LiveFeed(rng, per_second=2.0, bad_after=BAD_AFTER, bad_for=BAD_FOR)
    with SkillsStorage(database) as store:
        store.store_many(make_history(rng, now))
        path.write_text("\n".join(make_transcript(rng, now)) + "\n", encoding="utf-8")
        import_transcripts([path], database)
        elapsed, rows = feed.pause(), []
        while elapsed < LENGTH:
            rows.append(feed.next_row(elapsed, now + elapsed))
            elapsed += feed.pause()
        store.store_many(rows)
    alerts = backtest(database, end=START + timedelta(seconds=LENGTH)).alerts
    assert alerts
    assert {(alert.skill_name, alert.kind) for alert in alerts} <= {
        (BAD_SKILL, "completion_rate_fell"),
        (BAD_SKILL, "duration_rose"),
    }
    first, end = START + timedelta(seconds=BAD_AFTER), START + timedelta(seconds=BAD_AFTER + BAD_FOR)
    assert all(first < alert.detected_at < end for alert in alerts)
    assert {alert.end for alert in alerts} == {"recovered"}
