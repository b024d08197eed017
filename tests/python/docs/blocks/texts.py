"""Drawings, messages, configuration files and SQL."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import jsonschema
import yaml

from docs.blocks.running import bash, rows_in
from session_buddy.notify.body import Body
from session_buddy.notify.episodes import Event
from support import tools
from support.histories import fill, invocations
from support.markdown import Block
from support.notifier import event
from support.paths import SCHEMAS
from support.schemas import documents, validated


def drawing(block: Block, home: Path) -> None:
    """A drawing: nothing to run."""
    assert block.language == "text"


def problem(block: Block, home: Path) -> None:
    """An HTTP error that its schema validates."""
    jsonschema.validate(json.loads(block.text), documents()[SCHEMAS / "http" / "http_error.json"])


def message(block: Block, home: Path) -> None:
    """A message, of either direction, that its schema validates."""
    validated(block.text)


EVENT = event(type="performance_drop")


def notification(block: Block, home: Path) -> None:
    """An event in the format of the notifier."""
    data = json.loads(block.text)
    assert Event.from_dict(data).as_dict() == data


def notification_template(block: Block, home: Path) -> None:
    """A template that the notifier accepts, applied to an event."""
    assert "mypy: performance_drop" in json.loads(Body(block.text)(EVENT))["text"]


def settings(block: Block, home: Path) -> None:
    """A config file that the server reads; every key has an effect."""
    file = home / "config.toml"
    file.write_text(block.text, encoding="utf-8")
    shown = bash(f"python -m session_buddy.websocket_server --config {file} --print-config", home)
    for key in re.findall(r"^(\w+) =", block.text, re.MULTILINE):
        (line,) = [line for line in shown.splitlines() if re.match(rf"#?\s*{key} =", line)]
        assert "config.toml" in line, line


def statements(block: Block, home: Path) -> None:
    """SQL on a new database; the last statement returns rows."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        *first, last = [text for text in block.text.split(";") if text.strip()]
        for text in first:
            connection.execute(text)
        assert connection.execute(last).fetchall()


def insertion(block: Block, home: Path) -> None:
    """SQL that adds a row to a new database."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(block.text)
        connection.commit()
    assert rows_in(path) == 2


def alertmanager_config(block: Block, home: Path) -> None:
    """Alertmanager accepts the configuration and sends critical alerts to the receiver."""
    file = home / "alertmanager.yml"
    file.write_text(block.text, encoding="utf-8")
    output = bash(f"{tools.amtool()} check-config {file}", home)
    assert "SUCCESS" in output
    assert "1 inhibit rules" in output
    assert "mail" in bash(f"{tools.amtool()} config routes test --config.file={file} severity=critical", home)


def grafana_provisioning(block: Block, home: Path) -> None:
    """YAML with the keys that Grafana requires."""
    settings = yaml.safe_load(block.text)
    assert settings["apiVersion"] == 1
    (entry,) = settings.get("providers") or settings["datasources"]
    assert {"name", "type"} <= set(entry)
