"""docs/deploy/session-buddy-notify.service: systemd accepts it, and its command works."""

from __future__ import annotations

import configparser
import shlex
import string
import subprocess
from pathlib import Path

from support import tools
from support.notifier import COMMAND
from support.paths import ROOT
from support.processes import DEADLINE, Program, Server
from support.receiver import WebhookReceiver
from support.tokens import READER, write_secret


def test_systemd_finds_no_error_in_the_unit(tmp_path: Path) -> None:
    installed = "/opt/session-buddy/bin/session-buddy"
    text = (ROOT / "docs" / "deploy" / "session-buddy-notify.service").read_text(encoding="utf-8")
    assert text.count(installed) == 1
    unit = tmp_path / "session-buddy-notify.service"
    unit.write_text(text.replace(installed, COMMAND), encoding="utf-8")
    done = subprocess.run(
        [tools.systemd_analyze(), "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_command_of_the_unit_works(served: Server, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    text = (ROOT / "docs" / "deploy" / "session-buddy-notify.service").read_text(encoding="utf-8")
    unit.read_string(text.replace("\\\n", " "))
    write_secret(tmp_path / "token", READER)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    words = [string.Template(word).substitute(environment) for word in shlex.split(unit["Service"]["ExecStart"])]
    words = [COMMAND, *words[1:]]
    words[words.index("http://localhost:8765")] = served.url
    with WebhookReceiver() as receiver, Program(words, env={"SESSION_BUDDY_WEBHOOK": receiver.url}):
        receiver.wait_for(("started", "mypy"))
    assert (tmp_path / "notify.json").exists()
