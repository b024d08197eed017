"""Where things are in this tree."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT / "docs" / "api" / "schemas"
JS = ROOT / "tests" / "js"
BUILD = ROOT / "build"
# The text of the API v1.0, where a checkout has it beside the project.
SPEC = ROOT.parent / "shared" / "spec" / "websocket-api.md"
