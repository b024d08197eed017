"""Count the instructions of each step of bench/micro_bench with callgrind, independent of the machine's load.

usage: count_instructions.py MICRO_BENCH FOLDER

Writes the table to micro.md in FOLDER, and between the markers `<!-- bench:micro -->` and `<!-- /bench -->` of
docs/explanation/performance.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "performance.md"
# Iterations of two runs; their difference excludes startup and setup.
FEW, MANY = 100, 1100
_MARKED = re.compile(r"(<!-- bench:micro -->\n).*?(<!-- /bench -->)", re.DOTALL)


def names(program: str) -> list[str]:
    """The benchmark steps of the program."""
    listed = subprocess.run([program, "--benchmark_list_tests"], check=True, capture_output=True, text=True)
    return listed.stdout.split()


def instructions(program: str, name: str, count: int) -> int:
    """Instructions of a whole run of the program with `count` iterations of the step."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, "--fixed", name, str(count)],
            check=True,
            capture_output=True,
        )
        totals = re.search(r"^(?:summary|totals): (\d+)", out.read_text(encoding="utf-8"), re.MULTILINE)
    if totals is None:
        raise SystemExit(f"no instruction count from callgrind for {name}")
    return int(totals.group(1))


def table(counts: dict[str, float]) -> str:
    """Format the counts as a Markdown table."""
    lines = ["| step | instructions |", "| --- | ---: |"]
    lines += [f"| `{name}` | {instructions_per_step:,.0f} |" for name, instructions_per_step in counts.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    program, folder = sys.argv[1], Path(sys.argv[2])
    counts = {
        name: (instructions(program, name, MANY) - instructions(program, name, FEW)) / (MANY - FEW)
        for name in names(program)
    }
    text = table(counts)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "micro.md").write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_MARKED.sub(lambda marked: marked[1] + text + marked[2], page), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
