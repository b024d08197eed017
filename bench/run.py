"""Measure the server beside others and write docs/performance.md; `make bench` runs it.

Raw results go to build/bench, one file a part. A program build/release/bench/<part>_bench that prints such a result as
JSON is a part as well.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
from parts import FULL, QUICK, Bench, Scale, Skipped
from programs import CLIENT_CORE, CORES, RELEASE, SERVER_CORE, raise_file_limit

SPARE_FILES = 200  # besides the clients' sockets


def fit(scale: Scale) -> Scale:
    """As many clients as the system lets a process have sockets."""
    limit = raise_file_limit() - SPARE_FILES
    if scale.many_clients > limit:
        print(f"Only {limit} clients instead of {scale.many_clients}: that is the limit of open files (ulimit -Hn)")
        scale = dataclasses.replace(scale, many_clients=limit)
    return scale


def other_parts() -> dict[str, Callable[[], dict[str, Any]]]:
    """The programs that measure something else than the wire."""

    def run(program: Path) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout)
        return result

    def runner(program: Path) -> Callable[[], dict[str, Any]]:
        return lambda: run(program)

    return {path.name.removesuffix("_bench"): runner(path) for path in sorted(RELEASE.glob("*_bench"))}


def main() -> int:
    """Run the parts and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PART,...", help="these parts alone")
    parser.add_argument("--rounds", type=int, help="how often each program has its turn")
    parser.add_argument("--quick", action="store_true", help="try it with few clients; the page stays as it is")
    arguments = parser.parse_args()

    scale = fit(QUICK if arguments.quick else FULL)
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds)
    if len(CORES) < 2:
        print("There is one core only: what measures takes time from what is measured")
    os.sched_setaffinity(0, {CLIENT_CORE})
    print(f"The server runs on core {SERVER_CORE}, the clients on core {CLIENT_CORE}")

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(scale, Path(folder))

        def recorded(measure: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
            return lambda: dataclasses.asdict(measure())

        ours = {name: recorded(measure) for name, measure in bench.parts().items()}
        parts = {**ours, **other_parts()}
        chosen = arguments.only.split(",") if arguments.only else list(parts)
        if unknown := [name for name in chosen if name not in parts]:
            parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
        for name in chosen:
            print(f"{name}", flush=True)
            try:
                result = parts[name]()
            except Skipped as reason:
                print(f"    skipped: {reason}")
                continue
            report.save(name, result)
            for row in result["rows"]:
                print(f"    {row['what']}: {row['figure']} {row.get('unit', '')} (target: {row['target']})", flush=True)
    if not arguments.quick:
        report.write_page(list(ours))
    return 0


if __name__ == "__main__":
    sys.exit(main())
