"""A home directory without settings, and a fake for the program that is registered."""

from __future__ import annotations

from pathlib import Path

import pytest

from session_buddy.cli import hooks as command
from support.hooks_settings import Home, make_program


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The directory that HOME names; the scripts of the installation are in a separate folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    project = tmp_path / "project"
    project.mkdir()
    scripts = tmp_path / "scripts"
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.chdir(project)
    monkeypatch.setattr(command, "scripts_folder", lambda: scripts)
    return Home(folder, make_program(scripts))
