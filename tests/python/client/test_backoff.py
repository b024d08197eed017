"""The rule of reconnection, with the cases that the JavaScript client passes, too."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from session_buddy import _backoff
from session_buddy._backoff import Backoff
from session_buddy.client import connect
from support.paths import ROOT

RULE = json.loads((ROOT / "clients" / "reconnection.json").read_text(encoding="utf-8"))
DEFAULTS = RULE["defaults"]


def test_the_defaults_are_those_of_the_rule() -> None:
    parameters = inspect.signature(connect).parameters
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("case", RULE["cases"], ids=lambda case: str(case["name"]))
def test_the_maximum_wait_before_each_attempt(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    now = 1000.0
    backoff = Backoff(
        case.get("first_delay", DEFAULTS["first_delay"]), case.get("max_delay", DEFAULTS["max_delay"]), lambda: now
    )
    backoff.failed = case.get("attempts_before", 0)
    for step in case["steps"]:
        if "connect" in step:
            backoff.connected()
            now += step["connect"]["seconds"]
            for _ in range(step["connect"]["updates"]):
                backoff.updated()
        else:
            backoff.disconnected()
            assert backoff.delay() == step["lose"]
            backoff.failed += 1


def test_the_wait_is_random_between_zero_and_its_maximum() -> None:
    waits = {_backoff.full_jitter(0.5, 30.0, 2) for _ in range(100)}
    assert len(waits) > 90
    assert min(waits) < 1 < max(waits)
    assert all(0 <= wait <= 2 for wait in waits)
