"""Validates every message that a test receives against the JSON Schemas."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jsonschema
import websockets
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from .paths import SCHEMAS

Message = dict[str, Any]


@functools.cache
def documents() -> Mapping[Path, dict[str, Any]]:
    """Every schema file, parsed."""
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SCHEMAS.glob("**/*.json"))}


def references(node: Any) -> Iterator[str]:
    """The value of every $ref in a description."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@functools.cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry()
    for path, document in documents().items():
        resource = DRAFT202012.create_resource(document)
        # Registered by its $id, by its file's name and by its URI, because a $ref may use any of them.
        for uri in {document.get("$id", path.as_uri()), path.name, path.as_uri()}:
            registry = registry.with_resource(uri, Resource(contents=document, specification=resource._specification))
    return registry


@functools.cache
def message_types() -> Mapping[str, dict[str, Any]]:
    """The schema of each message, by the `type` it requires."""
    found: dict[str, dict[str, Any]] = {}
    for path, document in documents().items():
        if path.parent != SCHEMAS:
            continue  # of HTTP
        constant = document.get("properties", {}).get("type", {}).get("const")
        if constant is not None:
            assert constant not in found, f"{path.name} describes {constant} once more"
            found[constant] = document
    return found


@functools.cache
def _validator(message_type: str) -> jsonschema.Draft202012Validator:
    schema = message_types().get(message_type)
    if schema is None:
        raise AssertionError(f"docs/api/schemas has no message of type {message_type!r}")
    return jsonschema.Draft202012Validator(
        schema, registry=_registry(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def validated(message: str | bytes | Message) -> Message:
    """The message as a dict, validated against its schema. Raises AssertionError with every violation."""
    assert not isinstance(message, bytes), "messages are text frames"
    parsed = json.loads(message) if isinstance(message, str) else message
    assert isinstance(parsed, dict), f"not an object: {parsed!r}"
    message_type = parsed.get("type")
    assert isinstance(message_type, str), f"no type: {parsed!r}"
    faults = [f"{fault.json_path}: {fault.message}" for fault in _validator(message_type).iter_errors(parsed)]
    assert not faults, f"{message_type} breaks its schema: {'; '.join(faults)}\n{json.dumps(parsed, indent=2)}"
    return parsed


class Client:
    """A WebSocket client that validates every message it receives.

    `async with Client(url) as client:` connects and closes.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._connect = websockets.connect(url, **options)
        self.connection: Any = None

    async def __aenter__(self) -> Client:
        self.connection = await self._connect.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connect.__aexit__(kind, error, trace)

    async def send(self, message: Message | str) -> None:
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Message:
        return validated(await self.connection.recv())

    async def receive_type(self, message_type: str) -> Message:
        """The next message of this type; others before it are validated and dropped."""
        while True:
            message = await self.receive()
            if message["type"] == message_type:
                return message

    async def ask(self, request: Message | str) -> Message:
        """Sends a request and returns its response: the next message that is not a broadcast."""
        await self.send(request)
        while True:
            message = await self.receive()
            if message["type"] not in ("metrics_update", "session_update"):
                return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        async for text in self.connection:
            yield validated(text)
