"""Measure what is known about the outcomes and durations in a folder of transcripts.

usage: outcomes.py PATH... [--before PROGRAM] [--json]

Imports the transcripts into a new database and prints how many outcomes are unknown, how many shell commands hide the
exit status of their tool and how many of these have a known outcome, how many durations are upper bounds, and the
success rate of each test and lint skill. With --before, an older installation (its `session-buddy`) imports them, too,
and its success rates are shown next to the others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

UNKNOWN, BOUND = 1, 2  # bits of session_buddy_mark.marks
IS_MASKED = 2  # bit of the second byte of session_buddy_source.evidence (cpp/src/core/evidence.cpp)
# Skills whose names begin with one of these are tests and linters.
TOOLS = (
    *("pytest", "unittest", "tox", "nox", "npm test", "npm run", "pnpm", "yarn", "bun test", "jest", "vitest", "mocha"),
    *("playwright", "cypress", "node --test", "deno", "go test", "go vet", "golangci", "cargo", "mix test", "rspec"),
    *(
        "rails test",
        "phpunit",
        "mvn",
        "gradle",
        "dotnet",
        "ctest",
        "make",
        "just",
        "tsc",
        "eslint",
        "biome",
        "prettier",
    ),
    *("ruff", "mypy", "pyright", "flake8", "pylint", "black", "isort", "shellcheck", "pre-commit", "prek"),
)


def run_import(program: Sequence[str], paths: Sequence[Path], db_path: Path) -> None:
    """Import with an installation, which may be an older one."""
    command = [*program, "import", *map(str, paths), "--db-path", str(db_path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not db_path.exists():
        raise SystemExit(f"{' '.join(program)} imported nothing")


def rates(db_path: Path) -> dict[str, tuple[int, int, int]]:
    """Each skill's invocations, those with an unknown outcome, and the completed ones."""
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "session_buddy_mark" not in tables:
            database.execute("CREATE TEMP TABLE session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER)")
        rows = database.execute(
            "SELECT skill_name, count(*), sum(coalesce(marks, 0) & ?1 != 0),"
            " sum(completed AND NOT coalesce(marks, 0) & ?1)"
            " FROM skill_invocation LEFT JOIN session_buddy_mark ON invocation_id = id GROUP BY 1",
            (UNKNOWN,),
        ).fetchall()
    return {name: counts for name, *counts in rows}  # type: ignore[misc]


def measure(db_path: Path) -> dict[str, Any]:
    """Return the counts of all invocations."""
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        ((total, timed, unknown, bounds),) = database.execute(
            "SELECT count(*), count(duration_seconds), sum(coalesce(marks, 0) & ?1 != 0),"
            " sum(coalesce(marks, 0) & ?2 != 0 AND duration_seconds IS NOT NULL)"
            " FROM skill_invocation LEFT JOIN session_buddy_mark ON invocation_id = id",
            (UNKNOWN, BOUND),
        )
        evidence = database.execute(
            "SELECT evidence, coalesce(marks, 0) FROM session_buddy_source AS s"
            " LEFT JOIN session_buddy_mark AS m ON m.invocation_id = s.invocation_id WHERE evidence IS NOT NULL"
        ).fetchall()
    masked = [marks for blob, marks in evidence if blob[1] & IS_MASKED]
    return {
        "invocations": total,
        "unknown": unknown or 0,
        "masked": len(masked),
        "masked_with_known_outcome": sum(not marks & UNKNOWN for marks in masked),
        "durations": timed,
        "upper_bounds": bounds or 0,
    }


def share(part: int, whole: int) -> str:
    """Return a share as text."""
    return f"{part:,} of {whole:,}" + (f" ({100 * part / whole:.1f} %)" if whole else "")


def rate(counts: tuple[int, int, int] | None) -> str:
    """Return the success rate over known outcomes as text."""
    if counts is None or counts[0] == counts[1]:
        return "-"
    return f"{100 * counts[2] / (counts[0] - counts[1]):.1f} %"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    parser.add_argument("--before", metavar="PROGRAM", help="the session-buddy of an older installation")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        after_db, before_db = Path(folder) / "after.db", Path(folder) / "before.db"
        run_import([sys.executable, "-m", "session_buddy.cli.main"], args.paths, after_db)
        if args.before:
            run_import([args.before], args.paths, before_db)
        counts, after = measure(after_db), rates(after_db)
        before = rates(before_db) if args.before else {}
    names = sorted(name for name in {*after, *before} if name.startswith(TOOLS))
    if args.json:
        print(json.dumps({**counts, "after": after, "before": before}, indent=2))
        return 0
    print(f"Unknown outcomes           {share(counts['unknown'], counts['invocations'])}")
    print(f"Hidden exit statuses       {share(counts['masked'], counts['invocations'])}")
    print(f"  with a known outcome     {share(counts['masked_with_known_outcome'], counts['masked'])}")
    print(f"Durations, upper bounds    {share(counts['upper_bounds'], counts['durations'])}")
    print(f"\n{'skill':<28}{'runs':>7}{'unknown':>9}{'success':>10}" + (f"{'before':>16}" if before else ""))
    for name in names:
        own, old = after.get(name), before.get(name)
        runs, unknown, _ = own or (0, 0, 0)
        line = f"{name:<28}{runs:>7}{unknown:>9}{rate(own):>10}"
        print(line + (f"{rate(old):>10} of{old[0] if old else 0:>4}" if before else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
