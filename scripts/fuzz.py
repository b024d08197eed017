"""Build the fuzz targets with libFuzzer, run each for a given time and print the coverage that it reached.

usage: fuzz.py SECONDS JOBS

Each target starts from its committed corpus; new inputs are written to build/fuzz-corpus. Crashing inputs are written
to build/fuzz-crashes, and the exit status is then not 0.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "fuzz"
FINDS = ROOT / "build" / "fuzz-corpus"
CRASHES = ROOT / "build" / "fuzz-crashes"
LOGS = ROOT / "build" / "logs"

COMPILERS = ("clang++-16", "clang++-19", "clang++")
LIMITS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=2048")


@dataclass(frozen=True)
class Outcome:
    """The result of one target."""

    target: str
    ok: bool
    executions: int
    per_second: int
    edges: int
    inputs: int
    lines: str


def find_compiler() -> str:
    """Return the path of the first available Clang."""
    for name in COMPILERS:
        if path := shutil.which(name):
            return path
    sys.exit(f"fuzz.py: Clang with libFuzzer is required; not found: {', '.join(COMPILERS)}")


def build(compiler: str) -> list[str]:
    """Build all targets and return their names."""
    configure = ["cmake", "--preset", "fuzz", f"-DCMAKE_CXX_COMPILER={compiler}"]
    with (LOGS / "fuzz-configure.log").open("w", encoding="utf-8") as log:
        if subprocess.run(configure, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False).returncode:
            sys.exit(f"fuzz.py: cannot configure; see {log.name}")
    subprocess.run(["cmake", "--build", "--preset", "fuzz"], cwd=ROOT, check=True)
    return sorted(path.name.removeprefix("fuzz_") for path in (BUILD / "fuzz").glob("fuzz_*"))


def lines_of(target: str, compiler: str, profile: Path) -> str:
    """Return the line coverage of the files under cpp/ that the target reached."""

    def tool(name: str, *arguments: str | Path) -> str:
        path = subprocess.check_output([compiler, f"--print-prog-name={name}"], text=True).strip()
        return subprocess.check_output([path, *arguments], text=True)

    merged = profile.with_suffix(".profdata")
    tool("llvm-profdata", "merge", "-sparse", "-o", merged, profile)
    source = (BUILD / "fuzz" / f"fuzz_{target}", f"-instr-profile={merged}", ROOT / "cpp")
    (LOGS / f"fuzz-{target}-lines.txt").write_text(tool("llvm-cov", "report", *source), encoding="utf-8")
    report: dict[str, Any] = json.loads(tool("llvm-cov", "export", "-summary-only", *source))
    entered = [file["summary"]["lines"] for file in report["data"][0]["files"]]
    entered = [lines for lines in entered if lines["covered"] > 0]
    covered, count = (sum(lines[key] for lines in entered) for key in ("covered", "count"))
    return f"{covered} of {count}"


def run(target: str, compiler: str, seconds: int) -> Outcome:
    """Fuzz one target for the given time."""
    finds = FINDS / target
    finds.mkdir(parents=True, exist_ok=True)
    dictionary = ROOT / "fuzz" / f"{target}.dict"
    profile = BUILD / f"{target}.profraw"
    command: list[str | Path] = [
        BUILD / "fuzz" / f"fuzz_{target}",
        *LIMITS,
        f"-max_total_time={seconds}",
        f"-artifact_prefix={CRASHES}/{target}-",
        "-print_final_stats=1",
        *([f"-dict={dictionary}"] if dictionary.exists() else []),
        finds,  # new inputs are written to the first folder
        ROOT / "fuzz" / "corpus" / target,
    ]
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(profile)}
    with (LOGS / f"fuzz-{target}.log").open("w+", encoding="utf-8", errors="replace") as log:
        status = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        log.seek(0)
        text = log.read()

    def last(pattern: str) -> int:
        found = re.findall(pattern, text)
        return int(found[-1]) if found else 0

    return Outcome(
        target=target,
        ok=status == 0,
        executions=last(r"stat::number_of_executed_units:\s*(\d+)"),
        per_second=last(r"stat::average_exec_per_sec:\s*(\d+)"),
        edges=last(r" cov: (\d+)"),
        inputs=last(r" corp: (\d+)"),
        lines=lines_of(target, compiler, profile) if status == 0 else "-",
    )


def main() -> int:
    """Build, run and report."""
    seconds, jobs = (int(argument) for argument in sys.argv[1:])
    for folder in (CRASHES, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    compiler = find_compiler()
    targets = build(compiler)
    print(f"Fuzzing {len(targets)} targets for {seconds} s each, {jobs} at a time", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(lambda target: run(target, compiler, seconds), targets))

    print(f"\n{'target':<16} {'executions':>11} {'per second':>10} {'edges':>6} {'inputs':>6} {'lines':>13}")
    for outcome in outcomes:
        print(
            f"{outcome.target:<16} {outcome.executions:>11} {outcome.per_second:>10} {outcome.edges:>6} "
            f"{outcome.inputs:>6} {outcome.lines:>13}{'' if outcome.ok else '  FAILED'}"
        )
    print(
        "lines: covered lines of the files under cpp/ that the target reached; per file in build/logs/fuzz-*-lines.txt"
    )
    for outcome in outcomes:
        if not outcome.ok:
            log = LOGS / f"fuzz-{outcome.target}.log"
            print(f"\n{outcome.target} failed: {log}, input in {CRASHES}:", file=sys.stderr)
            print("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:]), file=sys.stderr)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
