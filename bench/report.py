"""Writes the results into the tables of docs/explanation/performance.md, each between two comments with its name."""

from __future__ import annotations

import json
import platform
import re
import ssl
import subprocess
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from programs import CORES, ROOT

PAGE = ROOT / "docs" / "explanation" / "performance.md"
RESULTS = ROOT / "build" / "bench"
TARGET_HEAD = ["benchmark", "target", "result"]


def save(name: str, result: dict[str, Any], *, quick: bool) -> None:
    """Save a result for the page; a quick one into a separate folder."""
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def first_line(*command: str) -> str:
    """Return the first line of the output of a command."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def machine() -> list[list[str]]:
    """Describe the machine and the software versions."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    node_packages = json.loads((ROOT / "tests" / "js" / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    return [
        ["date", f"{datetime.now(timezone.utc):%Y-%m-%d}"],
        ["processor", f"{model[1] if model else platform.machine()}, {len(CORES)} cores"],
        ["kernel", f"{platform.system()} {platform.release()}"],
        ["compiler", first_line("c++", "--version")],
        ["OpenSSL", ssl.OPENSSL_VERSION],
        ["Python", f"{platform.python_version()}, websockets {version('websockets')}"],
        ["Node", f"{first_line('node', '--version')}, ws {node_packages['ws']}"],
    ]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def target_rows(results: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Return the target rows of all results."""
    rows = [row for result in results for row in result["rows"]]
    return [[row["what"], row["target"], value_of(row)] for row in rows]


def value_of(row: dict[str, Any]) -> str:
    """Format the value of a row with its spread, if the row has one."""
    value = row["value"]
    if "spread" in row:
        smallest, largest = row["spread"]
        value = f"{value:,.4g} ({smallest:,.4g}..{largest:,.4g})"
    return f"{value} {row.get('unit', '')}".strip()


def with_block(page: str, name: str, text: str) -> str:
    """Replace the block of this name in the page, which must contain it once."""
    pattern = re.compile(rf"(<!-- bench:{re.escape(name)} -->\n).*?(<!-- /bench -->)", re.DOTALL)
    page, count = pattern.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
    if count != 1:
        raise SystemExit(f"{PAGE.name} needs one block <!-- bench:{name} --> ... <!-- /bench -->")
    return page


def write_page(order: Sequence[str]) -> None:
    """Write all results, including those of earlier runs; the target table only if none is missing."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    page = PAGE.read_text(encoding="utf-8")
    for name, result in results.items():
        if "skipped" in result:
            page = with_block(page, name, f"Not measured: {result['skipped']}.")
        elif "head" in result:
            page = with_block(page, name, markdown(result["head"], result["table"]))
        else:
            page = with_block(page, name, markdown(TARGET_HEAD, target_rows([result])))
    missing = [name for name in order if name not in results]
    if missing:
        print(f"The target table is unchanged, as these results are missing: {', '.join(missing)}")
    else:
        page = with_block(page, "targets", markdown(TARGET_HEAD, target_rows(results[name] for name in order)))
    page = with_block(page, "machine", markdown(["part", "which"], machine()))
    PAGE.write_text(page, encoding="utf-8")
