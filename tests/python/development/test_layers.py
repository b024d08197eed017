"""The layers of the C++ code: allowed includes, and that each public header is self-contained."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from support import tools
from support.paths import ROOT

CPP = ROOT / "cpp"
HEADERS = CPP / "include" / "session_buddy"

# From the top down; layers in one row are independent of each other.
ROWS = [
    {"cli", "bindings"},
    {"app"},
    {"server"},
    {"protocol", "prometheus"},
    {"metrics", "anomaly", "storage", "ingest", "auth"},
    {"core"},
]
RANK = {layer: rank for rank, row in enumerate(ROWS) for layer in row}

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def layer_of(path: Path) -> str:
    """The layer that a source or header belongs to."""
    parts = path.relative_to(CPP).parts
    if parts[0] == "include":
        return parts[2]
    return parts[1] if parts[0] == "src" else parts[0]


def sources() -> list[Path]:
    return sorted(path for path in CPP.rglob("*") if path.suffix in (".cpp", ".hpp"))


def includes(path: Path) -> list[str]:
    return _INCLUDE.findall(path.read_text(encoding="utf-8"))


def test_every_file_belongs_to_a_known_layer() -> None:
    assert len(sources()) > 20
    assert {layer_of(path) for path in sources()} <= set(RANK)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(CPP)))
def test_includes_go_downward_only(path: Path) -> None:
    layer = layer_of(path)
    for included in includes(path):
        if not included.startswith("session_buddy/"):
            continue
        other = included.split("/")[1]
        assert other == layer or RANK[other] > RANK[layer], f"{layer} must not include {included}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(CPP)))
def test_libraries_stay_in_their_layer(path: Path) -> None:
    owners = {
        "SQLiteCpp/": {"storage"},
        "sqlite3.h": {"storage"},
        "boost/math/": {"anomaly"},
        "boost/asio": {"server"},
        "boost/beast": {"server"},
        "pybind11/": {"bindings"},
        "CLI/": {"app", "cli"},
        "prometheus/": {"prometheus"},
    }
    for included in includes(path):
        for prefix, layers in owners.items():
            if included.startswith(prefix):
                assert layer_of(path) in layers, f"{included} belongs to {' and '.join(sorted(layers))}"


def test_no_type_or_function_of_sqlite_is_named_above_storage() -> None:
    named = re.compile(r"\bSQLite::|\bsqlite3_\w+\(|\bnamespace SQLite\b")
    found = [
        path for path in sources() if layer_of(path) != "storage" and named.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_the_network_side_sees_no_storage() -> None:
    for path in sources():
        if layer_of(path) in ("server", "protocol", "prometheus"):
            assert not [name for name in includes(path) if name.startswith("session_buddy/storage/")], path


def test_private_headers_are_next_to_their_users() -> None:
    for path in sources():
        for included in includes(path):
            if included.endswith(".hpp") and "/" not in included:
                assert (path.parent / included).exists(), f"{path}: {included}"


def public(path: Path) -> set[Path]:
    """The public headers that a file includes, directly or not."""
    direct = {CPP / "include" / name for name in includes(path) if name.startswith("session_buddy/")}
    return direct.union(*map(public, direct))


def chains() -> list[list[Path]]:
    """The public headers in sequences of which each header includes the one before it.

    In a unit of one sequence, no header sees more than it includes itself: it checks each of them. All units together
    take half the time of a unit for each header.
    """
    found: list[list[Path]] = []
    reached = {header: public(header) for header in HEADERS.rglob("*.hpp")}
    for header in sorted(reached, key=lambda header: (len(reached[header]), header)):
        before = [chain for chain in found if chain[-1] in reached[header]]
        if before:
            max(before, key=lambda chain: len(reached[chain[-1]])).append(header)
        else:
            found.append([header])
    return found


@pytest.mark.parametrize(
    "headers", chains(), ids=lambda headers: "+".join(str(header.relative_to(HEADERS)) for header in headers)
)
def test_public_headers_are_self_contained(headers: list[Path], tmp_path: Path) -> None:
    commands = json.loads(tools.compile_commands().read_text())
    entry = next(entry for entry in commands if "/session_buddy.dir/" in entry["command"])
    words = shlex.split(entry["command"])
    compiler = next(word for word in words if Path(word).name != "ccache")
    flags = [word for word in words if word.startswith(("-I", "-D", "-std", "-W"))]
    system = [f"-isystem{words[index + 1]}" for index, word in enumerate(words) if word == "-isystem"]
    unit = tmp_path / "only.cpp"
    unit.write_text("".join(f'#include "{header.relative_to(CPP / "include")}"\n' for header in headers))
    result = subprocess.run(
        [compiler, *flags, *system, "-Werror", "-fsyntax-only", str(unit)],
        cwd=entry["directory"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
