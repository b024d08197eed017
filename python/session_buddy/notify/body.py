"""The body of a notification: the event as JSON, or a template filled with its fields."""

from __future__ import annotations

import json
import string
from pathlib import Path

from session_buddy.notify.episodes import Event

__all__ = ["Body"]

MAX_TEMPLATE_BYTES = 65536
SAMPLE = Event(
    id="0" * 32,
    event="started",
    severity="WARNING",
    skill='a "skill"\\',
    type="completion_rate_fell",
    baseline=0.9,
    observed=0.5,
    since="2026-02-10T12:00:00Z",
    timestamp="2026-02-10T12:00:00Z",
)


class Body:
    """Renders the body of an event; without a template, the event as a JSON object.

    Templates use the syntax of ``string.Template``: ``$skill`` or ``${skill}``, ``$$`` for a dollar sign. The names are
    the fields of the event, except ``alert``, and ``text``, a sentence; ``deviation`` is 0 for alerts. In a JSON
    template, values are escaped as JSON strings: ``{"text": "$skill: $type"}``.
    """

    def __init__(self, template: str | None = None) -> None:
        """Raises ValueError if the template is invalid."""
        self._template = None if template is None else string.Template(template)
        self._json = template is None or template.lstrip()[:1] in ("{", "[")
        if template is None:
            return
        try:
            sample = self(SAMPLE)
        except KeyError as error:
            names = ", ".join(f"${name}" for name in _values(SAMPLE))
            raise ValueError(f"unknown field ${error.args[0]} in the template; available: {names}") from None
        except ValueError as error:
            raise ValueError(f"invalid template: {error}; write $$ for a dollar sign") from None
        if self._json:
            try:
                json.loads(sample)
            except ValueError as error:
                raise ValueError(f"the template starts like JSON but does not render valid JSON: {error}") from None

    @classmethod
    def from_file(cls, path: Path) -> Body:
        """Raises OSError or ValueError."""
        with path.open("rb") as file:
            data = file.read(MAX_TEMPLATE_BYTES + 1)
        if len(data) > MAX_TEMPLATE_BYTES:
            raise ValueError(f"{path} is larger than {MAX_TEMPLATE_BYTES} bytes")
        try:
            return cls(data.decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8: {error}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @property
    def content_type(self) -> str:
        """Content-Type of the body."""
        return "application/json" if self._json else "text/plain; charset=utf-8"

    def __call__(self, event: Event) -> bytes:
        """The body, in UTF-8."""
        if self._template is None:
            return json.dumps(event.as_dict(), ensure_ascii=False).encode()
        values = _values(event)
        if self._json:
            values = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in values.items()}
        return self._template.substitute(values).encode()


def _values(event: Event) -> dict[str, str]:
    values = {**event.as_dict(), "text": event.text or sentence(event)}
    values.pop("alert", None)
    values.setdefault("deviation", 0.0)  # so that templates of deviations work for alerts, too
    return {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in values.items()}


def sentence(event: Event) -> str:
    """A deviation in words: ``mypy: performance_drop started: 90.0% → 55.0%, deviation 2.7``."""

    def shown(value: float) -> str:
        return f"{value:.3g} s" if event.type == "pattern_shift" else f"{value:.1%}"

    return (
        f"{event.skill}: {event.type} {event.event}: {shown(event.baseline)} → {shown(event.observed)}, "
        f"deviation {event.deviation or 0.0:.1f}"
    )
