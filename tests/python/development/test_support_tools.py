"""How tests find the programs that they run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from support import tools


def test_node_is_the_program_itself_where_the_path_has_a_script_that_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "node"
    script.write_text(f'#!/bin/sh\n{shlex.quote(tools.node())} "$@"\nexit $?\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program = ["-e", "console.log('up'); setInterval(() => {}, 1000)"]
    with subprocess.Popen([tools.node.__wrapped__(), *program], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        # Held open by a Node that keeps running.
        assert process.stdout.read() == b""
    assert process.returncode == -signal.SIGTERM
