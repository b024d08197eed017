"""The real tools are run, and the C++ tests of verdicts read what they wrote.

Samples of further tools are in tests/cpp/ingest/outputs; scripts/record_outputs.py says how to write them again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import tools
from support.paths import ROOT

CLIENT = ROOT / "clients" / "js"
PAGE = ROOT / "docs" / "reference" / "output-verdicts.md"
TABLE = ROOT / "cpp" / "src" / "ingest" / "verdict_lines.cpp"
# Tools that the tests of this project need anyway, and cases of them: a verdict of each kind, in a few seconds.
CASES = (
    "pytest-run: plain,pytest-run: assertion-quiet,pytest-run: collection",
    "unittest,ruff-check,ruff-format",
    "mypy: clean,mypy: findings",
    "node --test",
    "tsc: type,biome: clean,biome: findings",
)


@pytest.mark.timeout(300)  # the tools compete for the processor with other tests
@pytest.mark.parametrize("cases", CASES, ids=[cases.partition(":")[0] for cases in CASES])
def test_verdicts_are_what_the_exit_status_of_the_real_tool_says(tmp_path: Path, cases: str) -> None:
    program = tools.cpp_tests()
    tools.node()
    tools.node_packages(CLIENT)
    for name in ("pytest", "ruff", "mypy"):
        tools.python_tool(name)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    outputs = tmp_path / "outputs"
    record = [sys.executable, ROOT / "scripts" / "record_outputs.py", "--into", outputs, "--only", cases]
    recorded = subprocess.run(
        [*record, "--node-modules", CLIENT / "node_modules"],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert recorded.stderr == "", "every tool was found"
    assert {file.stem.replace("_", " ") for file in outputs.iterdir()} == {
        case.split(":")[0] for case in cases.split(",")
    }
    judged = subprocess.run(
        [program, "--gtest_filter=OutputVerdict.*recorded*"],
        env=os.environ | {"SESSION_BUDDY_OUTPUTS": str(outputs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout
    assert "3 tests from 1 test suite ran" in judged.stdout


def documented_rows() -> list[str]:
    """The rows of the table in the documentation, as the table in C++ has the tools."""
    source = TABLE.read_text(encoding="utf-8")
    lines = dict(re.findall(r"constexpr auto (k\w+) = std::to_array<VerdictLine>\(\{(.*?)\}\);\n", source, re.DOTALL))
    entries = re.findall(r'\{"([^"]+)", ToolKind::\w+, Inner::(\w+), (k\w+|\{\})', source)
    assert len(entries) > 80
    rows = []
    for skills, inner, name in entries:
        says = set(re.findall(r"\{(failed|passed)(_\w+)?,", lines.get(name, "")))
        passes = {kind for outcome, kind in says if outcome == "passed"}
        if inner == "all":
            completed = "yes" if "" in passes else "from a tool inside"
        elif not passes:
            completed = "no"
        else:
            completed = "if all of the output is shown" if passes == {"_if_all"} else "yes"
        failed = {"none": "yes", "failed": "yes, also of a tool inside", "all": "yes, also of a tool inside"}[inner]
        skills = ", ".join(f"`{skill}`" for skill in skills.split(","))
        rows.append(f"| {skills} | {completed} | {failed} |")
    return rows


def test_the_documentation_lists_every_tool_with_a_verdict() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = [line for line in text.splitlines() if line.startswith("| `")]
    assert written == documented_rows(), "\n".join(documented_rows())
