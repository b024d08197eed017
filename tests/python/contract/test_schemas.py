"""The machine-readable description: valid, strict, complete schemas, and an AsyncAPI document that refers to them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from support.paths import ROOT, SCHEMAS
from support.schemas import documents, message_types, references, validated

ASYNCAPI = ROOT / "docs" / "api" / "asyncapi.yaml"
REFERENCE = ROOT / "docs" / "api" / "WEBSOCKET_API.md"

REQUESTS = {"subscribe", "unsubscribe", "get_metrics", "ping", "subscribe_sessions", "auth"}
ANSWERS = {
    "subscription_confirmed",
    "unsubscribed",
    "metrics_response",
    "pong",
    "sessions_subscribed",
    "authenticated",
    "error",
}
BROADCASTS = {"metrics_update", "session_update"}


def examples() -> list[tuple[str, Any]]:
    return [
        (message_type, example)
        for message_type, schema in message_types().items()
        for example in schema.get("examples", [])
    ]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(SCHEMAS)))
def test_schema_is_valid(path: Path) -> None:
    schema = documents()[path]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    for example in schema["examples"]:
        jsonschema.Draft202012Validator(schema).validate(example)


def test_every_message_has_a_schema() -> None:
    assert set(message_types()) == REQUESTS | ANSWERS | BROADCASTS


@pytest.mark.parametrize(("message_type", "example"), examples())
def test_a_message_without_a_required_key_breaks_its_schema(message_type: str, example: dict[str, Any]) -> None:
    for key in message_types()[message_type]["required"]:
        if key != "type":
            broken = {name: value for name, value in example.items() if name != key}
            with pytest.raises(AssertionError, match="breaks its schema"):
                validated(broken)


@pytest.mark.parametrize("message_type", sorted(ANSWERS | BROADCASTS))
def test_what_the_server_sends_holds_no_key_that_is_not_described(message_type: str) -> None:
    # Clients must ignore unknown keys, but our server may not send undocumented ones.
    for example in message_types()[message_type]["examples"]:
        with pytest.raises(AssertionError, match="breaks its schema"):
            validated({**example, "surprise": 1})
        for key in ("data",):
            if key in example:
                changed = copy.deepcopy(example)
                changed[key]["surprise"] = 1
                with pytest.raises(AssertionError, match="breaks its schema"):
                    validated(changed)


def test_the_reference_names_every_message_and_error() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    for name in [*message_types(), *message_types()["error"]["properties"]["code"]["enum"]]:
        assert f"`{name}`" in text, name


# ---- AsyncAPI


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(ASYNCAPI.read_text(encoding="utf-8"))
    return document


def resolve(document: dict[str, Any], reference: str) -> Any:
    file, _, pointer = reference.partition("#")
    node: Any = documents()[(ASYNCAPI.parent / file).resolve()] if file else document
    for part in filter(None, pointer.split("/")):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_asyncapi_references_resolve() -> None:
    document = asyncapi()
    assert document["asyncapi"].startswith("3.")
    found = list(references(document))
    assert found
    for reference in found:
        assert isinstance(resolve(document, reference), dict), reference


def test_asyncapi_describes_each_message_by_its_schema() -> None:
    document = asyncapi()
    described = {}
    for name, message in document["components"]["messages"].items():
        payload = message["payload"]
        if "schema" in payload:
            payload = payload["schema"]
        described[name] = resolve(document, payload["$ref"])
    assert described == dict(message_types())


def test_asyncapi_directions_are_right() -> None:
    document = asyncapi()
    by_direction: dict[str, set[str]] = {"receive": set(), "send": set()}
    for operation in document["operations"].values():
        by_direction[operation["action"]] |= {
            reference["$ref"].rsplit("/", 1)[1] for reference in operation["messages"]
        }
    # From the view of the application, which is the server.
    assert by_direction["receive"] == REQUESTS
    assert by_direction["send"] >= BROADCASTS
