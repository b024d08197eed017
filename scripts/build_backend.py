"""The build backend of the package: scikit-build-core's, which also gets Node from PyPI where the system has none.

The dashboard, which is part of the native server, is built with it. Whoever names a built one needs no Node:
``pip install . -C cmake.define.SESSION_BUDDY_DASHBOARD_DIR=...``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from scikit_build_core import build as _backend
from scikit_build_core.build import *  # noqa: F403 - all hooks that this release of it has

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
    """What PEP 517 asks for, with Node."""
    return [*_backend.get_requires_for_build_wheel(config_settings), *_node(config_settings)]


def get_requires_for_build_editable(config_settings: dict[str, str | list[str]] | None = None) -> list[str]:
    """What PEP 660 asks for, with Node."""
    return [*_backend.get_requires_for_build_editable(config_settings), *_node(config_settings)]
