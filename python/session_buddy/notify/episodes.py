"""Events, and the start and end of anomalies (deviations) from metrics updates, across lost connections."""

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
IMPROVED = "improved"
SEVERITIES = {STARTED: "WARNING", RESOLVED: "INFO", IMPROVED: "INFO"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """A notification. Times are UTC, ``YYYY-MM-DDTHH:MM:SSZ``."""

    id: str  # the same for each delivery attempt: an idempotency key
    event: str  # started, resolved or improved
    severity: str  # WARNING or INFO
    skill: str
    type: str  # of the anomaly, or the kind of the alert
    baseline: float  # a rate from 0 to 1, or seconds where it is about durations
    observed: float
    deviation: float | None = None  # of an anomaly: standard deviations; if resolved, the last known value
    since: str  # when the anomaly began, or the most likely time of the change
    timestamp: str  # of the first update with (started) or without (resolved) it, or when the alert ended
    text: str | None = None  # of an alert: a sentence that explains it
    alert: dict[str, Any] | None = None  # of an alert: as in the API

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """The inverse of ``as_dict``. Raises TypeError or ValueError."""
        return cls(**_fields(cls, data))

    def as_dict(self) -> dict[str, Any]:
        """As a dict for JSON, without what it does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Episode:
    """An open anomaly: its start was sent, its end was not. Saved in the state file."""

    skill: str
    type: str
    baseline: float
    observed: float
    deviation: float
    since: str
    away_since: str | None = None  # time of the first of the consecutive updates without it

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Episode:
        """The inverse of ``as_dict``. Raises TypeError or ValueError."""
        return cls(**_fields(cls, data))

    def as_dict(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return asdict(self)


class Tracker:
    """Turns updates into events: one for each start and one for each end of an anomaly of a skill.

    An anomaly has ended when two or more updates lack it, over ``settle`` seconds of their timestamps. A lost
    connection restarts that time: absence of updates is not an end. If ``since`` is later after such a gap than before,
    one episode ended in the gap and another one started: both events are sent.
    """

    def __init__(self, *, settle: float, min_deviation: float = 0.0, skills: Iterable[str] = ()) -> None:
        self._settle = timedelta(seconds=settle)
        self._min_deviation = min_deviation
        self._skills = frozenset(skills)  # empty: all skills
        self._gap = True
        self.episodes: dict[tuple[str, str], Episode] = {}

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Restore the open episodes of an earlier run. Skills that are no longer selected are dropped silently."""
        self.episodes = {
            (episode.skill, episode.type): episode
            for episode in episodes
            if not self._skills or episode.skill in self._skills
        }

    def connection_lost(self) -> None:
        """Restart the time that missing anomalies must stay away: they may have been present during the gap."""
        self._gap = True
        for key, episode in self.episodes.items():
            self.episodes[key] = replace(episode, away_since=None)

    def process(self, update: MetricsUpdate) -> list[Event]:
        """The events of an update, in the order to send them."""
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
        # If the server's clock was set back, the time restarts.
        if episode.away_since is None or at < parsed_time(episode.away_since):
            self.episodes[key] = replace(episode, away_since=time_text(at))
        elif at - parsed_time(episode.away_since) >= self._settle:
            del self.episodes[key]
            events.append(_event(RESOLVED, episode, episode.away_since))

    def _process_present(self, key: tuple[str, str], anomaly: Anomaly, at: datetime, events: list[Event]) -> None:
        episode = self.episodes.get(key)
        since = time_text(anomaly.details.since if anomaly.details else at)
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
            events.append(_event(RESOLVED, episode, time_text(at)))
            episode = None
            if anomaly.deviation_score < self._min_deviation:
                del self.episodes[key]
                return
        self.episodes[key] = seen
        if episode is None:
            events.append(_event(STARTED, seen, time_text(at)))


def _event(kind: str, episode: Episode, at: str) -> Event:
    return Event(
        id=new_id(),
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


def new_id() -> str:
    """The id of a new event."""
    return uuid.uuid4().hex


def time_text(at: datetime) -> str:
    """A time of an event or a state."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed_time(text: str) -> datetime:
    """The inverse of ``time_text``. Raises TypeError or ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def _fields(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass from JSON, checked against their declared types."""
    types: dict[str, tuple[type, ...]] = {"float": (int, float), "str": (str,), "dict[str, Any]": (dict,)}
    values: dict[str, Any] = {}
    for name, declared in kind.__annotations__.items():
        required = declared.removesuffix(" | None")
        value = data[name] if required == declared else data.get(name)
        accepted = types[required] if required == declared else (*types[required], type(None))
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise TypeError(f"{name} must be {declared}")
        values[name] = value
    for name in ("since", "timestamp", "away_since"):
        if values.get(name) is not None:
            parsed_time(values[name])
    return values
