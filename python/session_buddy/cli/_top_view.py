"""Rendering of ``session-buddy top``: on a terminal of any size, and as plain text."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from session_buddy._alert_text import change, is_improvement, label, span
from session_buddy.cli._top_columns import METRICS, SKILL, SORTS, WIDE, ago, seconds_since
from session_buddy.cli._top_model import BUCKETS, Model
from session_buddy.client import ActiveSession, Alert, State, TopSkill


@dataclass(frozen=True)
class Glyphs:
    """Characters that not every terminal can display."""

    blocks: str  # of sparklines
    arrows: str  # ascending, descending
    arrow: str
    cursor: str
    mark: str  # after the name of a skill that deviates
    ascii: bool

    def printable(self, text: str) -> str:
        """A name with control and format characters escaped: they could reorder, hide or join adjacent text."""
        if self.ascii:
            text = text.encode("ascii", "backslashreplace").decode()
        return "".join(
            f"\\u{ord(character):04x}" if unicodedata.category(character) in _ESCAPED_CATEGORIES else character
            for character in text
        )


UNICODE = Glyphs(" ▁▂▃▄▅▆▇█", "▲▼", "→", "█", "•", ascii=False)
ASCII = Glyphs(" .:-=+*#@", "^v", "->", "_", "*", ascii=True)
_ESCAPED_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
MAX_ALERTS = 5  # lines shown; the rest is counted
NO_DATA = "nothing to evaluate: no invocation in the server's window"
MAX_SESSIONS = 4
MAX_SEARCH = 256  # characters
_SORT_KEYS = [column.press for column in SORTS]
_FAR = 10**9
_MOVES = {  # lines, and pages
    "up": (-1, 0),
    "k": (-1, 0),
    "down": (1, 0),
    "j": (1, 0),
    "page up": (0, -1),
    "page down": (0, 1),
    " ": (0, 1),
    "home": (-_FAR, 0),
    "g": (-_FAR, 0),
    "end": (_FAR, 0),
    "G": (_FAR, 0),
}


def _help() -> str:
    sorts = textwrap.wrap(f"sort by {', '.join(column.name for column in SORTS)}", 39)
    left = [
        ("s, S", "sort by the next or previous column"),
        (" ".join(_SORT_KEYS), sorts[0]),
        *(("", line) for line in sorts[1:]),
        ("r", "reverse the order"),
        ("h ?", "this help, and back"),
    ]
    right = [
        ("↑ ↓ j k", "scroll by a line"),
        ("PgUp PgDn", "scroll by a page"),
        ("Home End g G", "to the first, the last"),
        ("/", "search: type, Enter keeps, Esc clears"),
        ("q, Ctrl-C", "quit"),
    ]
    lines = (
        f" {keys:<16}{what:<41}{more_keys:<16}{more}"
        for (keys, what), (more_keys, more) in zip_longest(left, right, fillvalue=("", ""))
    )
    return "\n".join((*lines, "", *_NOTES))


_NOTES = (
    " success rate is that of known outcomes in the server's window, with its 95 % Wilson interval",
    " alerts are changes that the sequential test confirmed; session-buddy alerts acknowledges and mutes them",
    " • marks a skill that deviates from its baseline by at least the server's threshold",
)
HELP = _help()


def truncate(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten to at most ``width`` cells."""
    if cell_len(text) <= width:
        return text
    taken, used = [], 0
    for character in text:
        used += cell_len(character)
        if used > width - len(ellipsis):
            break
        taken.append(character)
    return "".join(taken) + ellipsis


def sparkline(counts: Sequence[int], blocks: str = UNICODE.blocks) -> str:
    """One character per count, scaled to the largest; zero is blank."""
    top = max(counts, default=0)
    steps = len(blocks) - 1
    return "".join(blocks[0 if count <= 0 else max(1, round(count / top * steps))] for count in counts)


def shown_alerts(model: Model) -> list[Alert]:
    """The active alerts, then what improved within the last hour."""
    alerts = model.alerts() or []
    improved = [alert for alert in alerts if is_improvement(alert.kind) and not alert.muted]
    return [*(alert for alert in alerts if alert.active), *improved]


def alerts_summary(model: Model) -> str:
    """How many alerts are active, and how many open ones are not because of a user."""
    alerts = model.alerts()
    if alerts is None:
        return "not reported by this server" if model.update else "none"
    active = sum(alert.active for alert in alerts)
    quiet = sum(alert.ended_at is None and not alert.active and not is_improvement(alert.kind) for alert in alerts)
    if not active and _is_idle(model):
        return NO_DATA
    return (f"{active}" if active else "none") + (f", and {quiet} acknowledged or muted" if quiet else "")


def describe(alert: Alert, arrow: str) -> str:
    """``Success rate fell  98.0% → 71.0%  since 30m  by chance once in 40 weeks``."""
    parts = [label(alert.kind), change(alert, arrow), f"since {ago(seconds_since(alert.since))}"]
    if alert.failures_in_a_row > 1:
        parts.append(f"{alert.failures_in_a_row:,} failures in a row")
    if alert.once_in_seconds > 0:
        parts.append(f"by chance once in {span(alert.once_in_seconds)}")
    return "  ".join(parts)


def connection(model: Model) -> str:
    """Connection state and age of the data, then the reason of a lost connection."""
    change, age = model.state, model.age
    text = f"{change.state}, " + ("no data yet" if age is None else f"data {age:.0f} s old")
    if change.state is not State.CONNECTED and change.reason is not None:
        text += f": {change.reason}"
        if change.retry_in is not None:
            left = max(0.0, model.state_since + change.retry_in - model.now())
            text += f" (attempt {change.attempt + 1} in {left:.0f} s)"
    return text


class Screen:
    """The full-screen view: scrolled by ``offset`` lines, with a help page and a search line."""

    def __init__(self, model: Model, glyphs: Glyphs) -> None:
        self.model = model
        self._glyphs = glyphs
        self._shown = glyphs.printable
        self.offset = 0
        self.page = 1  # skills that fit
        self._last_offset = 0
        self.helping = False
        self.typing = False

    def press(self, key: str) -> bool:
        """Handle a key. Returns False to quit."""
        if self.typing:
            self._type(key)
            return True
        model = self.model
        if key in ("q", "Q"):
            return False
        if key in ("h", "?") or self.helping:
            self.helping = not self.helping
        elif key in _SORT_KEYS:
            model.sort_by(_SORT_KEYS.index(key))
        elif key in ("s", "right"):
            model.sort_by(model.column + 1)
        elif key in ("S", "left"):
            model.sort_by(model.column - 1)
        elif key == "r":
            model.reverse = not model.reverse
        elif key == "/":
            self.typing = True
        elif key == "escape":
            model.search = ""
        elif key in _MOVES:
            lines, pages = _MOVES[key]
            self.offset = max(0, min(self._last_offset, self.offset + lines + pages * self.page))
        return True

    def _type(self, key: str) -> None:
        model = self.model
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing, model.search = False, ""
        elif key == "backspace":
            model.search = model.search[:-1]
        elif key == "clear":
            model.search = ""
        elif len(key) == 1 and len(model.search) < MAX_SEARCH:
            model.search += key
        self.offset = 0

    def render(self, width: int, height: int) -> RenderableType:
        """At most ``height`` lines of ``width`` cells."""
        head = self._head(width)
        if self.helping:
            return Group(head, Text(""), Text(HELP, no_wrap=True, overflow="crop"))
        skills = self.model.skills()
        below = [*self._alerts(width), *self._sessions(width)]
        below = below[: max(0, height - 8)]  # on a small terminal skills have priority
        for line in below:  # a wrapped line would push the last one off the screen
            line.no_wrap = True
            line.truncate(width, overflow="ellipsis")
        self.page = max(1, height - 3 - len(below))
        self._last_offset = max(0, len(skills) - self.page)
        self.offset = min(self.offset, self._last_offset)
        table = self._table(width, skills[self.offset : self.offset + self.page])
        shown = min(len(skills) - self.offset, self.page)
        blank = [Text("")] * (self.page - shown)
        return Group(head, table, *blank, *below, self._foot(width, len(skills), shown))

    def _head(self, width: int) -> Text:
        model = self.model
        style = "bold green" if model.state.state is State.CONNECTED else "bold yellow"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("session-buddy ", "bold").append(self._shown(model.url)).append("  ")
        text.append(self._shown(connection(model)), style)
        text.truncate(width)
        return text

    def _foot(self, width: int, found: int, shown: int) -> Text:
        model = self.model
        text = Text(no_wrap=True, overflow="ellipsis")
        if self.typing:
            text.append("search: ", "bold").append(truncate(self._shown(model.search), max(8, width - 30))).append(
                f"{self._glyphs.cursor} "
            )
        elif model.search:
            text.append("search: ", "bold").append(truncate(self._shown(model.search), max(8, width - 60))).append("  ")
        position = f"{self.offset + 1}-{self.offset + shown} of {found}" if found else "no skills"
        text.append(position)
        if not self.typing:
            text.append("  s sort  r reverse  / search  h help  q quit", "dim")
        text.truncate(width)
        return text

    def _sparkline(self, skill: TopSkill) -> Text:
        counts = self.model.sparkline_counts(skill.skill_name)
        return Text(f"{sparkline(counts, self._glyphs.blocks):<{BUCKETS}}", "cyan")

    def _table(self, width: int, skills: Sequence[TopSkill]) -> Table:
        model = self.model
        sorted_by = SORTS[model.column].heading
        arrow = self._glyphs.arrows[model.descending]
        table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bold")

        def add(name: str, justify: JustifyMethod, style: str = "", ratio: int | None = None) -> None:
            title = Text(f"{name} {arrow}", "reverse") if name == sorted_by else Text(name)
            table.add_column(title, justify=justify, style=style, no_wrap=True, overflow="ellipsis", ratio=ratio)

        metrics = [metric for metric in METRICS if width >= metric.least_width]
        add(SKILL.name, "left", ratio=1)
        for metric in metrics:
            add(metric.heading, "right", "dim" if metric.dim else "")
        if width >= WIDE:
            add("last 24 h" if model.hours is not None else "last 2 min", "left")
        deviating = {anomaly.skill_name for anomaly in model.anomalies()}
        alerting = {alert.skill_name for alert in model.alerts() or () if alert.active}
        for skill in skills:
            cells = [Text(metric.text(skill), metric.style(skill)) for metric in metrics]
            sparklines = [self._sparkline(skill)] if width >= WIDE else []
            name = Text(self._shown(skill.skill_name), "bold red" if skill.skill_name in alerting else "bold")
            if skill.skill_name in deviating:
                name.append(f" {self._glyphs.mark}", "dim")
            table.add_row(name, *cells, *sparklines)
        return table

    def _alerts(self, width: int) -> list[Text]:
        """One line per alert, and how many more there are."""
        alerts = shown_alerts(self.model)
        is_problem = any(alert.active for alert in alerts)
        lines = [Text(""), Text(f"alerts: {alerts_summary(self.model)}", "bold red" if is_problem else "dim")]
        for alert in alerts[:MAX_ALERTS]:
            details = f"  {describe(alert, self._glyphs.arrow)}"
            line = Text("  ").append(truncate(self._shown(alert.skill_name), max(10, width - len(details) - 4)), "bold")
            lines.append(line.append(details, "red" if alert.active else "green"))
        return [*lines, *_more(len(alerts) - MAX_ALERTS)]

    def _sessions(self, width: int) -> list[Text]:
        sessions = self.model.sessions.active_sessions if self.model.sessions else ()
        lines = [Text(f"active sessions: {len(sessions) or 'none'}", "bold" if sessions else "dim")]
        newest = sorted(sessions, key=lambda session: session.last_activity_at, reverse=True)
        for session in newest[:MAX_SESSIONS]:
            details = (
                f"  {_completed(session)}  {_skill_count(session.distinct_skills)}"
                f"  {ago(seconds_since(session.first_activity_at))} long"
                f"  {ago(seconds_since(session.last_activity_at))} ago"
            )
            line = Text("  ").append(truncate(self._shown(session.session_id), max(10, width - len(details) - 4)))
            lines.append(line.append(details, "dim"))
        return [*lines, *_more(len(sessions) - MAX_SESSIONS)]


def _completed(session: ActiveSession) -> str:
    unknown = session.unknown or 0
    note = f" ({unknown:,} unknown)" if unknown else ""
    return f"{session.completed - unknown:,}/{session.invocations:,} completed{note}"


def _skill_count(count: int) -> str:
    return f"{count} skill{'' if count == 1 else 's'}"


def _is_idle(model: Model) -> bool:
    """No invocation in the window, so nothing can be said about changes."""
    return model.update is not None and not model.update.top_skills


def _more(count: int) -> list[Text]:
    return [Text(f"  and {count} more", "dim")] if count > 0 else []


def plain(model: Model, glyphs: Glyphs) -> str:
    """The same as plain lines, for pipes, files and dumb terminals."""
    update = model.update
    at = update.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ") if update else "no data yet"
    lines = [f"{glyphs.printable(model.url)}  {connection(model)}  {at}"]
    skills = model.skills()
    width = max([5, *(cell_len(glyphs.printable(skill.skill_name)) for skill in skills)])
    lines.append("  ".join([f"{'skill':<{width}}", *(f"{metric.heading:>{metric.width}}" for metric in METRICS)]))
    for skill in skills:
        name = glyphs.printable(skill.skill_name)
        cells = (f"{metric.text(skill) + metric.suffix:>{metric.width}}" for metric in METRICS)
        lines.append("  ".join([name + " " * (width - cell_len(name)), *cells]))
    if _is_idle(model):
        lines.append(NO_DATA)
    for alert in shown_alerts(model):
        word = "alert" if alert.active else "improvement"
        lines.append(f"{word}: {glyphs.printable(alert.skill_name)}: {describe(alert, glyphs.arrow)}")
    if deviating := sorted({anomaly.skill_name for anomaly in model.anomalies()}):
        lines.append(f"deviating from the baseline: {', '.join(map(glyphs.printable, deviating))}")
    for session in model.sessions.active_sessions if model.sessions else ():
        lines.append(
            f"session: {glyphs.printable(session.session_id)} {_completed(session)}, "
            f"{_skill_count(session.distinct_skills)}, {ago(seconds_since(session.last_activity_at))} ago"
        )
    return "\n".join(lines)
