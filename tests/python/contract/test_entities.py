"""What is generated from the field lists is current, and the lists agree with the dataclasses that use them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from session_buddy import _native, anomaly
from session_buddy.storage import skills_storage
from support.paths import ROOT

ENTITIES = {entity["name"]: entity for entity in _native.entities()}


def names(entity: str) -> list[str]:
    return [field["name"] for field in ENTITIES[entity]["fields"]]


def test_what_is_generated_from_the_field_lists_is_current() -> None:
    command = [sys.executable, ROOT / "scripts" / "write_entities.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_names_of_entities_and_of_their_fields_are_unique() -> None:
    listed = [entity["name"] for entity in _native.entities()]
    assert len(set(listed)) == len(listed)
    for name in listed:
        assert names(name)
        assert len(set(names(name))) == len(names(name)), name


def test_entities_refer_to_entities() -> None:
    referred = {field["entity"] for entity in ENTITIES.values() for field in entity["fields"] if field["entity"]}
    assert referred <= ENTITIES.keys()


@pytest.mark.parametrize(
    ("type_", "entity"),
    [
        (anomaly.Anomaly, "AnomalyFields"),
        (anomaly.Episode, "EpisodeFields"),
        (skills_storage.SkillMetrics, "SkillMetricsRow"),
    ],
)
def test_a_dataclass_has_the_fields_of_its_entity(type_: type, entity: str) -> None:
    fields = {field.name for field in dataclasses.fields(type_)}
    assert fields == set(names(entity))
