"""When an anomaly starts and ends, from updates that come and connections that break."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from session_buddy.client import Anomaly, MetricsUpdate

__all__ = ["Episode", "Event", "Tracker"]

STARTED = "started"
RESOLVED = "resolved"
SEVERITIES = {STARTED: "WARNING", RESOLVED: "INFO"}


@dataclass(frozen=True)
class Event:
    """What is told. Times are UTC, ``YYYY-MM-DDTHH:MM:SSZ``."""

    id: str  # the same each time that it is sent
    event: str  # started or resolved
    severity: str  # WARNING or INFO
    skill: str
    type: str
    baseline: float  # a rate from 0 to 1, or seconds where type is pattern_shift
    observed: float
    deviation: float  # standard deviations; of a resolved one the last that was known
    since: str  # when the anomaly began
    timestamp: str  # of the update that showed it, or that first did not

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """What ``as_dict`` made. Raises TypeError or ValueError."""
        return cls(**_fields(cls, data))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Episode:
    """An anomaly whose start was told and whose end was not."""

    skill: str
    type: str
    baseline: float
    observed: float
    deviation: float
    since: str
    away_since: str | None = None  # of the first of the updates in a row that did not have it

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Episode:
        """What ``as_dict`` made. Raises TypeError or ValueError."""
        return cls(**_fields(cls, data))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Tracker:
    """Turns updates into events: each start and each end of an anomaly of a skill, once.

    An end is told when it was missing in two updates or more, for ``settle`` seconds by their timestamps. What no
    update could show is no end: after a connection is lost, that time begins anew. Where ``since`` is later after such
    a gap than before it, one episode ended in the gap and another one began: both are told.
    """

    def __init__(self, *, settle: float, min_deviation: float = 0.0, skills: Iterable[str] = ()) -> None:
        self._settle = timedelta(seconds=settle)
        self._min_deviation = min_deviation
        self._skills = frozenset(skills)  # none: all
        self._gap = True
        self.episodes: dict[tuple[str, str], Episode] = {}

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Those of an earlier run. Of skills that are not asked for any more nothing is said."""
        self.episodes = {
            (episode.skill, episode.type): episode
            for episode in episodes
            if not self._skills or episode.skill in self._skills
        }

    def connection_lost(self) -> None:
        """A connection was lost: what was missing before it may have been there meanwhile."""
        self._gap = True
        for key, episode in self.episodes.items():
            self.episodes[key] = replace(episode, away_since=None)

    def process(self, update: MetricsUpdate) -> list[Event]:
        """The events of an update, in the order in which they are to be told."""
        events: list[Event] = []
        present = {(anomaly.skill_name, anomaly.anomaly_type): anomaly for anomaly in update.anomalies}
        for key, episode in list(self.episodes.items()):
            if key not in present:
                self._process_missing(key, episode, update.timestamp, events)
        for key, anomaly in present.items():
            self._process_present(key, anomaly, update.timestamp, events)
        self._gap = False
        return events

    def _process_missing(self, key: tuple[str, str], episode: Episode, at: datetime, events: list[Event]) -> None:
        # Where the server's clock was set back, the time begins anew.
        if episode.away_since is None or at < _time(episode.away_since):
            self.episodes[key] = replace(episode, away_since=_text(at))
        elif at - _time(episode.away_since) >= self._settle:
            del self.episodes[key]
            events.append(_event(RESOLVED, episode, episode.away_since))

    def _process_present(self, key: tuple[str, str], anomaly: Anomaly, at: datetime, events: list[Event]) -> None:
        episode = self.episodes.get(key)
        since = _text(anomaly.details.since if anomaly.details else at)
        if episode is None and anomaly.deviation_score < self._min_deviation:
            return
        seen = Episode(
            skill=anomaly.skill_name,
            type=anomaly.anomaly_type,
            baseline=anomaly.baseline_value,
            observed=anomaly.observed_value,
            deviation=anomaly.deviation_score,
            since=since if episode is None or self._gap else episode.since,
        )
        if episode is not None and self._gap and anomaly.details and since > episode.since:
            events.append(_event(RESOLVED, episode, _text(at)))
            episode = None
        self.episodes[key] = seen
        if episode is None:
            events.append(_event(STARTED, seen, _text(at)))


def _event(kind: str, episode: Episode, at: str) -> Event:
    return Event(
        id=uuid.uuid4().hex,
        event=kind,
        severity=SEVERITIES[kind],
        skill=episode.skill,
        type=episode.type,
        baseline=episode.baseline,
        observed=episode.observed,
        deviation=episode.deviation,
        since=episode.since,
        timestamp=at,
    )


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def _fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a dataclass, each of the type that it is declared with."""
    types: dict[str, tuple[type, ...]] = {"float": (int, float), "str": (str,), "str | None": (str, type(None))}
    values = {}
    for name, declared in kind.__annotations__.items():
        if not isinstance(data[name], types[declared]) or isinstance(data[name], bool):
            raise TypeError(f"{name} is no {declared}")
        values[name] = data[name]
    for name in ("since", "timestamp", "away_since"):
        if values.get(name) is not None:
            _time(values[name])
    return values
