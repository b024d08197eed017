"""The path of the recorded sessions; only the modules of `make test-recorded` use it."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path(os.environ["SESSION_BUDDY_TEST_RECORDED"])
CLAUDE_CODE = _ROOT / "data" / "claude-code"
LARGE = CLAUDE_CODE / "ae4a77f8-aedd-4bc1-888f-c94edc91af04.jsonl"
LATEST = _ROOT / "data" / "agents" / "claude-code" / "2.1.332"
OUTCOMES = _ROOT / "repro"
SPEC = _ROOT / "spec" / "websocket-api.md"
