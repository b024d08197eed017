"""Paths of this source tree."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT / "docs" / "api" / "schemas"
JS = ROOT / "tests" / "js"
BUILD = ROOT / "build"
