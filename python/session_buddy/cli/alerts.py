"""``session-buddy alerts``: lists the alerts of a database, acknowledges them, and mutes skills."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from session_buddy import _native
from session_buddy._alert_text import change, explanation, is_improvement, label, span, when
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_db_path, duration, fail
from session_buddy.cli._table import print_table

if TYPE_CHECKING:
    from session_buddy.client import Alert
    from session_buddy.realtime import types

MAX_LISTED = 1000
MAX_MUTE_DAYS = 366
MAX_TEXT_BYTES = 500  # of a note or a reason
_HEADINGS = ("id", "skill", "alert", "before → after", "changed (UTC)", "by chance once in", "state")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Without a command, lists the open alerts that servers found. A running server shows what this command changes "
        "in its next update."
    )
    parser.epilog = "Exit status: 0 done; 1 no such alert or mute, or the database cannot be used; 2 wrong usage."
    parser.set_defaults(work=_list)
    _add_list_arguments(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, work: object, help_: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
        added.set_defaults(work=work)
        # Defaults would replace what was given before the command.
        added.add_argument("--db-path", metavar="FILE", default=argparse.SUPPRESS, help="SQLite database")
        added.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")
        return added

    show = command("show", _show, "explain an alert")
    show.add_argument("id", metavar="ID", type=_id)
    acknowledge = command("ack", _acknowledge, "acknowledge an alert: it is known, and does not interrupt any more")
    acknowledge.add_argument("id", metavar="ID", type=_id)
    acknowledge.add_argument("--note", metavar="TEXT", type=_text, default="", help="what is known about it")
    mute = command("mute", _mute, "mute a skill: its alerts are detected and listed, but do not interrupt")
    mute.add_argument("name", metavar="SKILL")
    mute.add_argument(
        "--for", dest="seconds", metavar="TIME", type=_time, help="how long, such as 1h or 7d (default: until unmute)"
    )
    mute.add_argument("--reason", metavar="TEXT", type=_text, default="", help="why")
    command("unmute", _unmute, "remove the mute of a skill").add_argument("name", metavar="SKILL")
    command("mutes", _mutes, "list the muted skills")


def _add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help=f"also ended alerts; the newest {MAX_LISTED:,}")
    parser.add_argument("--skill", metavar="NAME", help="only this skill")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_db_path(parser)


def _id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"'{text}' is not the id of an alert, a number of 1 or more")
    return int(text)


def _text(text: str) -> str:
    if len(text.encode(errors="surrogateescape")) > MAX_TEXT_BYTES:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_TEXT_BYTES} bytes of UTF-8")
    return text


def _time(text: str) -> float:
    seconds = duration("30m, 8h or 7d")(text)
    if not 1 <= seconds <= MAX_MUTE_DAYS * 86400:
        raise argparse.ArgumentTypeError(f"must be 1s to {MAX_MUTE_DAYS}d, not {text}")
    return seconds


def run(args: argparse.Namespace) -> int:
    """Do the work, return the exit status."""
    try:
        args.db_path = _native.resolve_db_path(args.db_path)
        if not Path(args.db_path).exists():
            return _fail(f"no database {args.db_path}; check --db-path, or record something first")
        status: int = args.work(args)
        return status
    except (_native.InvalidRecordError, ValueError) as error:
        return _fail(error, 2)
    except _native.StorageError as error:
        return _fail(error)


def _fail(message: object, status: int = 1) -> int:
    return fail("alerts", escape_controls(f"error: {message}"), status)


def _print(args: argparse.Namespace, data: object, *lines: str) -> int:
    text = json.dumps(data, indent=2, ensure_ascii=False) if args.json else "\n".join(lines)
    print(escape_controls(text))
    return 0


def _read(args: argparse.Namespace, *, open_only: bool) -> _native.AlertPage:
    return _native.alerts(args.db_path, open=True if open_only else None, skill=args.skill, limit=MAX_LISTED)


def _list(args: argparse.Namespace) -> int:
    page = _read(args, open_only=not args.all)
    if args.json:
        return _print(args, {"db_path": args.db_path, **page})
    if not page["alerts"]:
        print(escape_controls(f"No {'' if args.all else 'open '}alerts in {args.db_path}"))
        return 0
    print_table(_HEADINGS, [_cells(_parsed(alert)) for alert in page["alerts"]], right=(0,))
    if page["total"] > len(page["alerts"]):
        print(f"and {page['total'] - len(page['alerts']):,} more")
    return 0


def _parsed(alert: types.Alert) -> Alert:
    from session_buddy.client.messages import Alert

    return Alert.from_wire(alert)


def _cells(alert: Alert) -> tuple[str, ...]:
    return (
        str(alert.id),
        escape_controls(alert.skill_name),
        label(alert.kind),
        change(alert),
        when(alert.since),
        span(alert.once_in_seconds) if alert.once_in_seconds > 0 else "-",
        _state(alert),
    )


def _state(alert: Alert) -> str:
    if is_improvement(alert.kind):
        state = "improvement"
    elif alert.ended_at is not None:
        state = f"{alert.end} {when(alert.ended_at)}"
    else:
        state = "open" if alert.acknowledged_at is None else "acknowledged"
    return state + (", muted" if alert.muted else "") + (f": {escape_controls(alert.note)}" if alert.note else "")


def _show(args: argparse.Namespace) -> int:
    args.skill = None
    found = next((alert for alert in _read(args, open_only=False)["alerts"] if alert["id"] == args.id), None)
    if found is None:
        return _no_alert(args)
    alert = _parsed(found)
    lines = (f"  {part}" for part in explanation(alert))
    return _print(args, found, f"#{alert.id}  {alert.skill_name}  {label(alert.kind)}  {_state(alert)}", *lines)


def _no_alert(args: argparse.Namespace) -> int:
    return _fail(f"no alert {args.id} in {args.db_path}; `session-buddy alerts --all` shows the ids")


def _acknowledge(args: argparse.Namespace) -> int:
    alert = _native.acknowledge_alert(args.db_path, args.id, args.note)
    if alert is None:
        return _no_alert(args)
    return _print(args, alert, f"Acknowledged alert {args.id} of {alert['skill_name']}")


def _mute(args: argparse.Namespace) -> int:
    if not _native.is_valid_skill_name(args.name):
        return _fail(f"SKILL {_native.SKILL_NAME_RULE}", 2)
    until = None if args.seconds is None else round((time.time() + args.seconds) * 1e6)
    mute = _native.mute_skill(args.db_path, args.name, until, args.reason)
    return _print(args, mute, f"Muted {_described(mute)}")


def _unmute(args: argparse.Namespace) -> int:
    if not _native.unmute_skill(args.db_path, args.name):
        return _fail(f"skill '{args.name}' is not muted in {args.db_path}")
    return _print(args, {"removed": True}, f"Unmuted {args.name}")


def _mutes(args: argparse.Namespace) -> int:
    args.skill = None
    mutes = _read(args, open_only=True)["mutes"]
    return _print(args, mutes, *(map(_described, mutes) if mutes else ("No muted skills",)))


def _described(mute: types.Mute) -> str:
    until = "until it is unmuted" if mute["until"] is None else f"until {mute['until']}"
    return f"{mute['skill_name']} {until}" + (f": {mute['reason']}" if mute["reason"] else "")
