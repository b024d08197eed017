"""Write the types, schemas and tables of the entities from the field lists of the native module.

usage: write_entities.py [--check]

A new field of an entity goes into its list in C++ (cpp/include/session_buddy/protocol/entities.hpp, cpp/bindings); this
program writes it everywhere else: between the markers of the files below, which name the entities, and into the JSON
Schemas. With --check, writes nothing, names the files that are out of date, and exits with status 1 if there are any.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from session_buddy import _native

ROOT = Path(__file__).resolve().parents[1]
ENTITIES = {entity["name"]: entity for entity in _native.entities()}
WIDTH = 120

# The objects of the message schemas: file, path in it, entity.
MESSAGES = (
    ("metrics_update.json", ("$defs", "skill"), "TopSkill"),
    ("metrics_update.json", ("$defs", "anomaly"), "Anomaly"),
    ("metrics_update.json", ("$defs", "details"), "AnomalyDetails"),
    ("metrics_update.json", ("$defs", "error_count"), "ErrorCount"),
    ("metrics_update.json", ("$defs", "alert"), "Alert"),
    ("metrics_update.json", ("$defs", "alert_level"), "AlertLevel"),
    ("metrics_update.json", ("$defs", "grown_error"), "GrownError"),
    ("session_update.json", ("$defs", "session"), "ActiveSession"),
    ("metrics_response.json", ("properties", "data"), "SkillSummary"),
)
# Where a message schema has the things that fields refer to.
MESSAGE_REFERENCES = {
    "skill_name": "#/$defs/skill_name",
    "time": "#/$defs/timestamp",
    "AnomalyDetails": "#/$defs/details",
    "ErrorCount": "#/$defs/error_count",
    "Alert": "#/$defs/alert",
    "AlertLevel": "#/$defs/alert_level",
    "GrownError": "#/$defs/grown_error",
}
API_NAMES = {"Episode": "Anomaly"}  # components of openapi.yaml with another name
API_REFERENCES = {
    "skill_name": "#/components/schemas/SkillName",
    "count": "#/components/schemas/Count",
    "time": "#/components/schemas/Time",
    "time?": "#/components/schemas/NullableTime",
    "seconds?": "#/components/schemas/Duration",
    "fraction?": "#/components/schemas/Rate",
    "Window": "#/components/schemas/Window",
    "LifetimeSums": "#/components/schemas/LifetimeSums",
    "AnomalyDetails": "schemas/metrics_update.json#/$defs/details",
    "Alert": "schemas/metrics_update.json#/$defs/alert",
}


# ---- JSON Schema


def schema_of(field: _native.FieldDescription, references: dict[str, str]) -> dict[str, Any]:
    """The schema of one field; `references` has the schemas to refer to."""
    kind, type_, nullable = field["kind"], field["type"], field["nullable"]
    null = [{"type": "null"}] if nullable else []
    name = field["entity"] or (type_ if kind in ("plain", "positive") else kind)
    if name == "int" and kind == "plain" and not nullable:
        name = "count"
    if nullable and f"{name}?" in references:
        schema: dict[str, Any] = {"$ref": references[f"{name}?"]}
    elif name in references:
        schema = {"$ref": references[name]}
        if field["array"]:
            schema = {"type": "array", "items": schema}
        elif null:
            schema = {"oneOf": [schema, *null]}
    elif field["values"]:
        schema = {"enum": [*field["values"], *([None] if nullable else [])]}
    else:
        words = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
        schema = {"type": [words[type_], "null"] if nullable else words[type_]}
        if kind in ("amount", "seconds", "fraction") or (type_ == "int" and not nullable):
            schema["minimum"] = 1 if kind == "positive" else 0
        if kind == "fraction":
            schema["maximum"] = 1
    if field["meaning"]:
        schema["description"] = field["meaning"]
    return schema


def with_fields(schema: dict[str, Any], name: str, references: dict[str, str]) -> dict[str, Any]:
    """`schema` with the properties of an entity. Further properties, and constraints that fields lack, are kept."""
    properties = schema.get("properties", {})
    fields = {field["name"]: schema_of(field, references) for field in ENTITIES[name]["fields"]}
    for key, made in fields.items():
        extra = {each: properties[key][each] for each in ("maxItems",) if each in properties.get(key, {})}
        description = {"description": made.pop("description")} if "description" in made else {}
        fields[key] = {**made, **extra, **description}
    required = [field["name"] for field in ENTITIES[name]["fields"] if not field["optional"]]
    ordered = {key: fields.get(key, properties[key]) for key in properties}
    return {**schema, "properties": {**ordered, **fields}, "required": required}


def message_schemas() -> dict[Path, str]:
    """The texts of the files of message schemas."""
    documents: dict[Path, Any] = {}
    for file, keys, name in MESSAGES:
        path = ROOT / "docs" / "api" / "schemas" / file
        parent = documents.setdefault(path, json.loads(path.read_text(encoding="utf-8")))
        for key in keys[:-1]:
            parent = parent[key]
        parent[keys[-1]] = with_fields(parent[keys[-1]], name, MESSAGE_REFERENCES)
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for path, document in documents.items()}


def api_components(names: Iterable[str]) -> str:
    """Components of openapi.yaml."""
    components: dict[str, Any] = {}
    for name in names:
        if name == "SkillSort":
            sorts = _native.skill_sorts()
            components[name] = {"enum": sorts, "default": sorts[0]}
            continue
        head = {"type": "object", "description": ENTITIES[name]["meaning"], "additionalProperties": False}
        components[API_NAMES.get(name, name)] = with_fields(head, name, API_REFERENCES)
    text: str = yaml.safe_dump(
        components, sort_keys=False, default_flow_style=None, width=WIDTH - 8, allow_unicode=True
    )
    return textwrap.indent(text, "    ")


# ---- Python


def phrase(field: _native.FieldDescription) -> str:
    """The meaning as a phrase."""
    meaning = field["meaning"].removesuffix(".")
    return meaning[:1].lower() + meaning[1:]


def member(field: _native.FieldDescription, type_: str) -> str:
    """One annotated member of a class, with its meaning as a comment."""
    line = f"    {field['name']}: {type_}"
    if not field["meaning"]:
        return f"{line}\n"
    comment = f"{line}  # {phrase(field)}"
    if len(comment) <= WIDTH:
        return f"{comment}\n"
    above = textwrap.wrap(phrase(field), WIDTH, initial_indent="    # ", subsequent_indent="    # ")
    return "\n".join([*above, line]) + "\n"


def typed_dicts(names: Iterable[str], module: str, between: str) -> str:
    """TypedDicts; entities that are not among them are in `module`."""
    names = list(names)
    classes = []
    for name in names:
        text = f"class {name}(TypedDict):\n"
        if ENTITIES[name]["meaning"]:
            text += f'    """{ENTITIES[name]["meaning"]}"""\n\n'
        for field in ENTITIES[name]["fields"]:
            type_ = {"time": "str"}.get(field["type"], field["type"])
            if field["entity"]:
                type_ = field["entity"] if field["entity"] in names else f"{module}.{field['entity']}"
            type_ = f"list[{type_}]" if field["array"] else type_
            text += member(field, f"{type_} | None" if field["nullable"] else type_)
        classes.append(text)
    return between.join(classes) + between


def members(names: Iterable[str], array: str, time: str) -> str:
    """The members of a class; `array` is the type of an array of `ITEM`s. Those that may be absent come last."""
    text = ""
    for name in names:
        for field in sorted(ENTITIES[name]["fields"], key=lambda each: each["optional"]):
            type_ = field["entity"] or {"time": time}.get(field["type"], field["type"])
            type_ = array.replace("ITEM", type_) if field["array"] else type_
            type_ = f"{type_} | None" if field["nullable"] or field["optional"] else type_
            text += member(field, f"{type_} = None" if field["optional"] else type_)
    return text


# ---- Documentation


def table(names: Iterable[str]) -> str:
    """A table of the fields that have a meaning."""
    fields = (field for name in names for field in ENTITIES[name]["fields"] if field["meaning"])
    rows = (
        f"| `{field['name']}`{' (optional)' if field['optional'] else ''} | {phrase(field)} |\n" for field in fields
    )
    return "\n| field | meaning |\n| --- | --- |\n" + "".join(rows) + "\n"


# ---- Files

FILES: dict[str, Callable[[list[str]], str]] = {
    "python/session_buddy/realtime/types.py": lambda names: typed_dicts(names, "", "\n\n"),
    "python/session_buddy/_native.pyi": lambda names: typed_dicts(names, "realtime_types", "\n"),
    "python/session_buddy/client/messages.py": lambda names: members(names, "tuple[ITEM, ...]", "datetime"),
    "python/session_buddy/ingest/__init__.py": lambda names: members(names, "list[ITEM]", "str"),
    "python/session_buddy/storage/skills_storage.py": lambda names: members(names, "list[ITEM]", "str"),
    "docs/api/openapi.yaml": api_components,
    "docs/api/WEBSOCKET_API.md": table,
}
_MARKED = re.compile(
    r"(^ *(?:#|<!--) <fields ([\w ]+)>(?: -->)?\n).*?(^ *(?:#|<!--) </fields>)", re.DOTALL | re.MULTILINE
)


def current() -> dict[Path, str]:
    """The texts of all files with what the lists have now."""
    texts = message_schemas()
    for file, render in FILES.items():
        path = ROOT / file
        text = path.read_text(encoding="utf-8")
        if not _MARKED.search(text):
            raise SystemExit(f"{file} has no markers <fields ENTITY> and </fields>")
        texts[path] = _MARKED.sub(lambda found, render=render: found[1] + render(found[2].split()) + found[3], text)  # type: ignore[misc]
    return texts


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = {path: text for path, text in current().items() if path.read_text(encoding="utf-8") != text}
    if arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run python scripts/write_entities.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
