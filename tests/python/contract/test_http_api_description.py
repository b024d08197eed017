"""The description of the HTTP API: complete, consistent, and obeyed by the server for any request."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.histories import fill, invocations
from support.http_api import OPENAPI, check_against_description, openapi
from support.paths import SCHEMAS
from support.processes import Server
from support.schemas import documents, references
from support.tokens import write_secret

SEED = 8765
EXAMPLES = 25  # of each operation
EVERYTHING = "everything-7d2c9b1f4a6e8053"

# What JSON Schema cannot express: which parameters go together, sizes in bytes, the fields of each event.
CONFIG = """
[checks]
unsupported_method.enabled = false  # of a GET with a body it says 405, but that is refused for the body
[[operations]]
include-name = [
  "GET /api/v1/series", "GET /api/v1/skills", "GET /api/v1/skill", "GET /api/v1/anomalies",
  "GET /api/v1/alerts", "POST /api/v1/alerts/acknowledge", "POST /api/v1/mutes",
  "POST /hooks/claude-code", "POST /api/v1/invocations",
]
checks.positive_data_acceptance.enabled = false
"""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in openapi()["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def resolve(reference: str) -> Any:
    file, _, pointer = reference.partition("#")
    node: Any = documents()[(OPENAPI.parent / file).resolve()] if file else openapi()
    for part in filter(None, pointer.split("/")):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_every_reference_resolves_and_every_component_is_used() -> None:
    used = set(references(openapi()))
    for reference in used:
        assert isinstance(resolve(reference), dict), reference
    for kind, components in openapi()["components"].items():
        if kind != "securitySchemes":
            for name in components:
                assert f"#/components/{kind}/{name}" in used, name


def test_every_schema_is_valid_and_every_answer_has_the_form_of_its_example() -> None:
    for schema in openapi()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            for content_type, content in answer.get("content", {}).items():
                for example in content.get("examples", {}).values():
                    check_against_description(path, method, int(status), content_type, example["value"])


def test_every_query_has_an_example_and_all_the_errors_of_queries() -> None:
    queries = [(path, operation) for path, _, operation in operations() if operation["tags"] == ["queries"]]
    assert len(queries) == 8
    for path, operation in queries:
        assert {"200", "304", "400", "401", "403", "429", "431", "500", "503"} <= set(operation["responses"]), path
        assert operation["responses"]["200"]["content"]["application/json"]["examples"], path
        assert set(operation["responses"]["200"]["headers"]) == {"ETag", "Cache-Control", "Vary"}, path


def test_every_error_code_is_described_where_it_can_occur() -> None:
    text = OPENAPI.read_text(encoding="utf-8")
    problem = documents()[OPENAPI.parent / "schemas" / "http" / "http_error.json"]
    # Errors of a WebSocket handshake, of another method or path, and of a partial server.
    elsewhere = {
        "bad_request",
        "expectation_failed",
        "method_not_allowed",
        "no_queries",
        "not_found",
        "too_many_clients_of_address",
        "upgrade_required",
    }
    for code in set(problem["properties"]["error"]["enum"]) - elsewhere:
        assert f"`{code}`" in text, code


def description_for_schemathesis(*, guarded: bool) -> dict[str, Any]:
    """The part that Schemathesis can test. Where tokens are required it sends one."""
    document = copy.deepcopy(openapi())
    # It cannot generate NDJSON, and /metrics is not JSON.
    del document["paths"]["/api/v1/invocations"]["post"]["requestBody"]["content"]["application/x-ndjson"]
    del document["paths"]["/metrics"]
    if guarded:
        for element in [document, *(operation for item in document["paths"].values() for operation in item.values())]:
            if len(element.get("security", [])) > 1:
                element["security"] = [way for way in element["security"] if way]
    return document


@pytest.mark.timeout(180)
@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_no_request_that_the_description_allows_breaks_the_server(
    guarded: bool, filled_db: Path, tmp_path: Path
) -> None:
    fill(filled_db, invocations("a/b ☃", 3, completed=1))
    options = ["--max-connections-per-second", "1000000"]
    headers = []
    if guarded:
        tokens = write_secret(tmp_path / "tokens", f"{EVERYTHING} read write metrics\n")
        options += ["--auth-token-file", str(tokens), "--max-auth-failures-per-second", "1000"]
        headers = ["--header", f"Authorization: Bearer {EVERYTHING}"]
    folder = tmp_path / "schemathesis"
    shutil.copytree(SCHEMAS, folder / "schemas")
    description = folder / "openapi.json"
    description.write_text(json.dumps(description_for_schemathesis(guarded=guarded)), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    with Server(filled_db, *options) as server:
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"),
                "--config-file",
                "schemathesis.toml",
                "run",
                "openapi.json",
                f"--url=http://localhost:{server.port}",
                f"--seed={SEED}",
                f"--max-examples={EXAMPLES}",
                "--phases=examples,coverage,fuzzing",
                "--continue-on-failure",
                "--no-color",
                *headers,
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
