"""Derives the start and end of alerts from metrics updates, across lost connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from session_buddy._alert_text import explanation, is_improvement, label, span
from session_buddy.client import Alert, MetricsUpdate, as_wire
from session_buddy.notify.episodes import IMPROVED, RESOLVED, SEVERITIES, STARTED, Event, new_id, parsed_time, time_text

__all__ = ["AlertTracker", "SentAlert"]

_Key = tuple[str, str, datetime]


@dataclass(frozen=True)
class SentAlert:
    """An alert whose start was sent, until its end is sent; an improvement, until updates lack it. Saved."""

    alert: Alert  # as of the latest update
    away_since: str | None = None  # time of the first of the consecutive updates without it

    @property
    def key(self) -> _Key:
        """The same before and after the server stored it; one that is not stored yet has no id."""
        return (self.alert.skill_name, self.alert.kind, self.alert.detected_at)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SentAlert:
        """The inverse of ``as_dict``. Raises KeyError, TypeError or ValueError."""
        away = data["away_since"]
        if away is not None:
            parsed_time(away)
        return cls(Alert.from_wire(data["alert"]), away)

    def as_dict(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return {"alert": as_wire(self.alert), "away_since": self.away_since}


class AlertTracker:
    """Turns updates into events: one for each start and one for each end of an alert, one for each improvement.

    Starts of alerts that are muted or acknowledged are not sent. A server lists an ended alert for an hour; one that
    is not listed in two or more updates, over ``settle`` seconds of their timestamps, has ended in the meantime. A lost
    connection restarts that time.
    """

    def __init__(self, *, settle: float, starts: bool = True, skills: Iterable[str] = ()) -> None:
        """``starts``: False to send only the ends of restored alerts."""
        self._settle = timedelta(seconds=settle)
        self._starts = starts
        self._skills = frozenset(skills)  # empty: all skills
        self.sent: dict[_Key, SentAlert] = {}

    def restore(self, sent: Iterable[SentAlert]) -> None:
        """Restore the alerts of an earlier run. Skills that are no longer selected are dropped silently."""
        self.sent = {one.key: one for one in sent if not self._skills or one.alert.skill_name in self._skills}

    def connection_lost(self) -> None:
        """Restart the time that missing alerts must stay away."""
        self.sent = {key: replace(one, away_since=None) for key, one in self.sent.items()}

    def process(self, update: MetricsUpdate) -> list[Event]:
        """The events of an update, in the order to send them: ends, then starts, the earliest first."""
        listed = {SentAlert(alert).key: alert for alert in update.alerts or ()}
        events: list[Event] = []
        for key, one in list(self.sent.items()):
            alert = listed.get(key)
            if alert is None:
                self._process_missing(key, one, update.timestamp, events)
            elif alert.ended_at is None or is_improvement(alert.kind):
                self.sent[key] = SentAlert(alert)
            else:
                del self.sent[key]
                events.append(_event(RESOLVED, alert, alert.ended_at))
        if self._starts:
            for key, alert in sorted(listed.items(), key=lambda item: item[1].detected_at):
                if key not in self.sent and _interrupts(alert):
                    self.sent[key] = SentAlert(alert)
                    events.append(_event(IMPROVED if is_improvement(alert.kind) else STARTED, alert, update.timestamp))
        return events

    def _process_missing(self, key: _Key, one: SentAlert, at: datetime, events: list[Event]) -> None:
        # If the server's clock was set back, the time restarts.
        if one.away_since is None or at < parsed_time(one.away_since):
            self.sent[key] = replace(one, away_since=time_text(at))
        elif at - parsed_time(one.away_since) >= self._settle:
            del self.sent[key]
            if not is_improvement(one.alert.kind):
                events.append(_event(RESOLVED, one.alert, parsed_time(one.away_since)))


def _interrupts(alert: Alert) -> bool:
    if alert.muted or alert.acknowledged_at is not None:
        return False
    return alert.ended_at is None or is_improvement(alert.kind)


def _event(kind: str, alert: Alert, at: datetime) -> Event:
    return Event(
        id=new_id(),
        event=kind,
        severity=SEVERITIES[kind],
        skill=alert.skill_name,
        type=alert.kind,
        baseline=alert.before.value,
        observed=alert.after.value,
        since=time_text(alert.since),
        timestamp=time_text(at),
        text=_text(kind, alert, at),
        alert=as_wire(alert),
    )


def _text(kind: str, alert: Alert, at: datetime) -> str:
    """What happened, and what explains it: ``mypy: Success rate fell: 98.0% (…) → 71.0% (…); since …``."""
    what = label(alert.kind)
    if kind == RESOLVED:
        lasted = span(max(0.0, (at - alert.since) / timedelta(seconds=1)))
        what += f", {'the new baseline' if alert.end == 'accepted' else 'recovered'} after {lasted}"
    return f"{alert.skill_name}: {what}: {'; '.join(explanation(alert))}"
