"""The stub of the native module matches the module: the same names and the same members."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import session_buddy
from session_buddy import _native

STUB = Path(session_buddy.__file__).with_name("_native.pyi")


def members(node: ast.ClassDef) -> set[str]:
    names = {entry.name for entry in node.body if isinstance(entry, ast.FunctionDef)}
    return names - {"__init__"}


def test_the_stub_names_what_the_module_has() -> None:
    typed_dicts = set()
    classes: dict[str, set[str]] = {}
    others = set()
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            if any(isinstance(base, ast.Name) and base.id == "TypedDict" for base in node.bases):
                typed_dicts.add(node.name)
            else:
                classes[node.name] = members(node)
        elif isinstance(node, ast.FunctionDef):
            others.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            others.add(node.target.id)
    real = {name for name in dir(_native) if not name.startswith("_")} | {"__version__"}
    assert classes.keys() | others == real
    for name, stubbed in classes.items():
        cls = getattr(_native, name)
        if issubclass(cls, Exception):
            continue
        assert {member for member in vars(cls) if not member.startswith("_")} == stubbed, name
    # The dicts that the stub types have exactly those keys.
    assert typed_dicts >= {"OptionDescription", "SkillMetricsRow"}
    described = {
        entry.target.id
        for node in ast.parse(STUB.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "OptionDescription"
        for entry in node.body
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
    }
    assert all(set(option) == described for option in _native.options())


def test_every_native_function_and_class_is_documented() -> None:
    for name in dir(_native):
        value = getattr(_native, name)
        if not name.startswith("_") and (inspect.isclass(value) or callable(value)):
            assert value.__doc__, name
