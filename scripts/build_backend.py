"""Build backend: wraps scikit-build-core and adds Node from PyPI as a build requirement if the system has none.

Node builds the dashboard, which is embedded into the native server. It is not needed with a prebuilt dashboard:
``pip install . -C cmake.define.SESSION_BUDDY_DASHBOARD_DIR=...``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from scikit_build_core import build as _backend
from scikit_build_core.build import *  # noqa: F403 - all PEP 517 hooks of the installed release

_OLDEST = 20
_FROM_PYPI = Path(__file__).with_name("requirements-node.txt")


def _node(config_settings: dict[str, str | list[str]] | None) -> list[str]:
    if any("SESSION_BUDDY_DASHBOARD_DIR" in name for name in config_settings or {}):
        return []
    node = shutil.which("node")
    if node and shutil.which("npm"):
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)\.", version)
        if found and int(found[1]) >= _OLDEST:
            return []
    return [line for line in _FROM_PYPI.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def get_requires_for_build_wheel(config_settings: dict[str, str | list[str]] | None = None) -> list[str]:
    """PEP 517 hook: the build requirements, with Node if needed."""
    return [*_backend.get_requires_for_build_wheel(config_settings), *_node(config_settings)]


def get_requires_for_build_editable(config_settings: dict[str, str | list[str]] | None = None) -> list[str]:
    """PEP 660 hook: the build requirements, with Node if needed."""
    return [*_backend.get_requires_for_build_editable(config_settings), *_node(config_settings)]
