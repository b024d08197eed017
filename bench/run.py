"""Measure the server and others and write docs/explanation/performance.md; `make bench` runs it.

Raw results go to build/bench, one file per benchmark.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import report
from dashboard import DashboardBench
from ingestion import IngestionBench
from parts import FULL, QUICK, Bench, Scale, Skipped
from programs import CLIENT_CORE, CORES, RELEASE, SERVER_CORE, raise_file_limit

SPARE_FILES = 200  # in addition to the sockets of the clients
OTHER_PROGRAMS = {"storage": "storage_bench"}  # by the name of the benchmark


def fit(scale: Scale) -> Scale:
    """Limit the number of clients to the limit of open files."""
    limit = raise_file_limit() - SPARE_FILES
    if scale.many_clients > limit:
        print(f"Only {limit} clients instead of {scale.many_clients}: limited by open files (ulimit -Hn)")
        scale = dataclasses.replace(scale, many_clients=limit)
    return scale


def run_program(name: str) -> dict[str, Any]:
    """Run one of OTHER_PROGRAMS; it prints its rows as JSON, as {"rows": [{"what", "target", "value", "unit"}]}."""
    if not (RELEASE / name).exists():
        raise Skipped(f"{name} is not built")
    result: dict[str, Any] = json.loads(subprocess.run([RELEASE / name], stdout=subprocess.PIPE, check=True).stdout)
    return result


def main() -> int:
    """Run the benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PART,...", help="run these benchmarks only")
    parser.add_argument("--rounds", type=int, help="number of rounds per program")
    parser.add_argument("--quick", action="store_true", help="smoke test with few clients; does not write the page")
    arguments = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that child processes are stopped
    scale = fit(QUICK if arguments.quick else FULL)
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds)
    if len(CORES) < 2:
        print("Only one core: the clients take CPU time from the server")
    os.sched_setaffinity(0, {CLIENT_CORE})
    print(f"The server runs on core {SERVER_CORE}, the clients on core {CLIENT_CORE}")

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(scale, Path(folder))

        def recorded(measure: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
            return lambda: dataclasses.asdict(measure())

        ours = {
            name: recorded(measure)
            for name, measure in {
                **bench.parts(),
                **IngestionBench(scale, Path(folder)).parts(),
                **DashboardBench(scale, Path(folder)).parts(),
            }.items()
        }
        others = {name: partial(run_program, program) for name, program in OTHER_PROGRAMS.items()}
        parts: dict[str, Callable[[], dict[str, Any]]] = {**ours, **others}
        chosen = arguments.only.split(",") if arguments.only else list(parts)
        if unknown := [name for name in chosen if name not in parts]:
            parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
        for name in chosen:
            print(f"{name}", flush=True)
            try:
                result = parts[name]()
            except Skipped as reason:
                print(f"    skipped: {reason}")
                result = {"rows": [], "skipped": str(reason)}
            report.save(name, result, quick=arguments.quick)
            for row in result["rows"]:
                print(f"    {row['what']}: {row['value']} {row.get('unit', '')} (target: {row['target']})", flush=True)
    if not arguments.quick:
        report.write_page(list(ours))
    return 0


if __name__ == "__main__":
    sys.exit(main())
