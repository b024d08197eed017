"""HTTP queries; each response is validated against the OpenAPI description."""

from __future__ import annotations

import functools
import gzip
import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from .paths import ROOT
from .processes import DEADLINE, Server
from .schemas import documents

OPENAPI = ROOT / "docs" / "api" / "openapi.yaml"
API = "/api/v1"
PROBLEM = "application/problem+json"


@functools.cache
def openapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    return document


@functools.cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry()
    registry = registry.with_resource(OPENAPI.as_uri(), Resource(contents=openapi(), specification=DRAFT202012))
    for path, schema in documents().items():
        resource = DRAFT202012.create_resource(schema)
        for uri in (path.as_uri(), schema["$id"]):
            registry = registry.with_resource(uri, resource)
    return registry


def _pointer(*parts: str) -> str:
    return "".join("/" + quote(part.replace("~", "~0").replace("/", "~1")) for part in parts)


def check_against_description(path: str, method: str, status: int, content_type: str, body: Any) -> None:
    """Raises AssertionError unless the description has this response, with its content type and schema."""
    operation = openapi()["paths"][path][method.lower()]
    assert str(status) in operation["responses"], f"{path} has no answer {status}"
    parts = ["paths", path, method.lower(), "responses", str(status)]
    answer = operation["responses"][str(status)]
    if "$ref" in answer:
        parts = answer["$ref"].removeprefix("#/").split("/")
        answer = openapi()[parts[0]][parts[1]][parts[2]]
    if "content" not in answer:
        assert body is None, f"{path} has no body with {status}"
        return
    assert content_type in answer["content"], f"{path} has no {content_type} with {status}"
    schema = {"$ref": f"{OPENAPI.as_uri()}#{_pointer(*parts, 'content', content_type, 'schema')}"}
    validator = jsonschema.Draft202012Validator(
        schema, registry=_registry(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    faults = [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(body)]
    assert not faults, f"{path} {status} breaks its schema: {'; '.join(faults)}\n{json.dumps(body)[:2000]}"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes  # as it was sent
    body: Any = None  # parsed; None where there is none

    @property
    def error(self) -> str:
        return str(self.body["error"])


def ask(
    server: Server,
    path: str,
    query: Mapping[str, object] | str = "",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    command: object = None,
) -> Answer:
    """One request on a new connection, with the command as its JSON body if there is one.

    The response is validated against the description.
    """
    text = query if isinstance(query, str) else urlencode(query, quote_via=quote)
    target = path + (f"?{text}" if text else "")
    with closing(http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)) as connection:
        sent = {"Content-Type": "application/json"} if command is not None else {}
        body = json.dumps(command) if command is not None else None
        connection.request(method, target, body=body, headers={**sent, **(headers or {})})
        response = connection.getresponse()
        raw = response.read()
    answer = Answer(response.status, response.headers, raw)
    content_type = response.headers.get("Content-Type", "")
    if raw:
        text_of_it = gzip.decompress(raw) if response.headers.get("Content-Encoding") == "gzip" else raw
        answer.body = json.loads(text_of_it)
        assert int(response.headers["Content-Length"]) == len(raw)
    if method.lower() in openapi()["paths"].get(path, {}):
        check_against_description(path, method, answer.status, content_type, answer.body)
    return answer


def get(server: Server, name: str, **parameters: object) -> Any:
    """The body of the response to a query that must succeed."""
    answer = ask(server, f"{API}/{name}", parameters)
    assert answer.status == 200, answer.body
    return answer.body
