"""Runs every code block of the documentation. PLAN says how; a block that is not in it fails a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from docs.blocks import clients, commands, servers, texts
from docs.blocks.running import python
from support.markdown import Block, blocks, pages
from support.paths import ROOT

Runner = Callable[[Block, Path], object]

# The runner of each block, in the order of the page.
PLAN: dict[str, list[tuple[str, Runner]]] = {
    "CHANGELOG.md": [],
    "CONTRIBUTING.md": [("bash", commands.cmake_presets)],
    "README.md": [
        ("text", texts.drawing),
        ("bash", commands.make_target),
        ("bash", commands.make_target),
        ("bash", commands.records),
        ("bash", servers.serves),
    ],
    "docs/README.md": [],
    "docs/api/HTTP_API.md": [
        ("bash", servers.queries),
        ("bash", servers.query),
        ("bash", servers.sends_conditional_requests),
        ("json", texts.problem),
    ],
    "docs/api/PROMETHEUS.md": [("yaml", servers.scrape_config), *[("bash", servers.with_server)] * 2],
    "docs/api/WEBSOCKET_API.md": [
        ("javascript", clients.node_client),
        ("python", clients.python_client),
        *[("json", texts.message)] * 23,
        ("javascript", clients.node_client_reconnects),
        ("bash", servers.serves_tls),
        ("bash", servers.serves_tokens),
        ("text", servers.token_file),
        ("javascript", clients.node_client_with_token),
        ("python", clients.python_client_with_token),
        ("nginx", servers.reverse_proxy),
        ("bash", servers.with_server),
        ("python", clients.python_without_server),
    ],
    "docs/explanation/anomaly-calibration.md": [],
    "docs/explanation/anomaly-detection.md": [],
    "docs/explanation/architecture.md": [("text", texts.drawing), ("text", texts.drawing), ("text", texts.drawing)],
    "docs/explanation/outcomes.md": [("bash", commands.explains), ("text", texts.drawing)],
    "docs/explanation/performance.md": [("bash", commands.make_target)],
    "docs/explanation/reliability.md": [],
    "docs/explanation/security.md": [],
    "docs/getting-started.md": [
        ("bash", commands.make_target),
        ("bash", commands.make_target),
        ("bash", commands.records),
        ("bash", servers.serves),
        ("python", clients.python_client),
        ("javascript", clients.node_script),
    ],
    "docs/glossary.md": [],
    "docs/how-to/alerts.md": [
        ("bash", commands.lists_alerts),
        ("bash", commands.backtests_budgets),
        ("bash", servers.with_server),
        ("json", texts.notification),
        ("json", texts.notification_template),
        ("json", texts.notification),
    ],
    "docs/how-to/clients.md": [
        ("python", clients.python_client),
        ("python", clients.python_client),
        ("bash", servers.with_server),
    ],
    "docs/how-to/dashboard.md": [],
    "docs/how-to/deployment.md": [("nginx", servers.location_below_a_path)],
    "docs/how-to/embedding.md": [("python", clients.python_without_server)],
    "docs/how-to/grafana.md": [("yaml", texts.grafana_provisioning), ("yaml", texts.grafana_provisioning)],
    "docs/how-to/hooks.md": [
        ("bash", commands.registers_hooks),
        ("bash", commands.installs_a_hook),
        ("bash", commands.runs_a_hook),
        ("bash", commands.installs_a_hook),
    ],
    "docs/how-to/maintenance.md": [("bash", commands.prunes), ("bash", commands.corrects)],
    "docs/how-to/prometheus.md": [
        ("bash", commands.with_promtool),
        ("yaml", texts.alertmanager_config),
        ("python", clients.python_without_server),
    ],
    "docs/how-to/recording.md": [
        ("bash", commands.records),
        ("bash", commands.runs),
        ("python", clients.python_without_server),
    ],
    "docs/how-to/transcripts.md": [
        ("bash", commands.imports),
        ("bash", commands.watches),
        ("bash", commands.reclassifies),
    ],
    "docs/integrations/CRACKERJACK.md": [
        ("bash", commands.runs),
        ("bash", commands.runs),
        ("python", clients.python_without_server),
        ("python", clients.python_conftest),
        ("bash", commands.records),
        ("sql", texts.statements),
    ],
    "docs/reference/command-line.md": [],
    "docs/reference/configuration.md": [("toml", texts.settings)],
    "docs/reference/dependencies.md": [],
    "docs/reference/ingestion.md": [
        ("bash", servers.submits),
        ("json", servers.ingestion_answer),
        ("json", servers.ingestion_answer),
    ],
    "docs/reference/output-verdicts.md": [],
    "docs/reference/skill-names.md": [],
    "docs/storage/V4_SCHEMA.md": [("sql", texts.insertion), ("python", clients.python_inserts)],
}


STEPS = [(name, index, runner) for name, steps in PLAN.items() for index, (_, runner) in enumerate(steps)]


def test_every_page_has_a_plan() -> None:
    assert [page.relative_to(ROOT).as_posix() for page in pages()] == sorted(PLAN, key=lambda name: ("/" in name, name))


@pytest.mark.parametrize("name", PLAN)
def test_every_block_is_in_the_plan(name: str) -> None:
    found = [f"line {block.line}: {block.language}" for block in blocks(ROOT / name)]
    assert [entry.split(": ")[1] for entry in found] == [language for language, _ in PLAN[name]], found


@pytest.mark.parametrize(
    ("name", "index", "runner"), STEPS, ids=[f"{name}-{index}-{runner.__name__}" for name, index, runner in STEPS]
)
async def test_block(name: str, index: int, runner: Runner, tmp_path: Path) -> None:
    result = runner(blocks(ROOT / name)[index], tmp_path)
    if result is not None and hasattr(result, "__await__"):
        await result


def test_a_program_whose_callback_fails_or_whose_event_never_comes_fails(tmp_path: Path) -> None:
    (example,) = [
        block.text for block in blocks(ROOT / "docs" / "how-to" / "embedding.md") if block.language == "python"
    ]
    with pytest.raises(AssertionError, match="KeyError: 'nosuch'"):
        python(example.replace('snapshot["data"]', 'snapshot["nosuch"]').replace("timeout=30", "timeout=1"), tmp_path)
    with pytest.raises(AssertionError, match="TimeoutError"):
        python(example.replace("seen.set()", "pass").replace("timeout=30", "timeout=1"), tmp_path)
