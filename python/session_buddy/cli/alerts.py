"""``session-buddy alerts``: lists alerts, acknowledges them, and mutes skills, in the database or through a server."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from session_buddy import _native
from session_buddy._alert_text import change, explanation, is_improvement, label, span, when
from session_buddy.cli._alert_access import MAX_LISTED, Alerts, DatabaseAlerts, ServerAlerts
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import duration, fail
from session_buddy.cli._table import print_table

if TYPE_CHECKING:
    from session_buddy.client import Alert

MAX_MUTE_DAYS = 366
MAX_TEXT_BYTES = 500  # of a note or a reason
_HEADINGS = ("id", "skill", "alert", "before → after", "changed (UTC)", "by chance once in", "state")


_Work = Callable[[argparse.Namespace, Alerts], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Without a command, lists the open alerts. It reads and changes the database, or, with --url, those of a "
        "server; a running server shows what changed in its next update."
    )
    parser.epilog = (
        "Exit status: 0 done; 1 no such alert or mute, or the database or server cannot be used; 2 wrong usage."
    )
    parser.set_defaults(work=_list)
    parser.add_argument("--all", action="store_true", help=f"also ended alerts; the newest {MAX_LISTED:,}")
    parser.add_argument("--skill", metavar="NAME", help="only this skill")
    _add_shared_arguments(parser, default=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, work: _Work, help_: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.", allow_abbrev=False)
        added.set_defaults(work=work)
        _add_shared_arguments(added, default=argparse.SUPPRESS)  # keeps what was given before the command
        return added

    command("show", _show, "explain an alert").add_argument("id", metavar="ID", type=_id)
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


def _add_shared_arguments(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("--json", action="store_true", default=default or False, help="print the result as JSON")
    parser.add_argument(
        "--db-path", metavar="FILE", default=default, help="SQLite database (default: the server's); not with --url"
    )
    parser.add_argument("--url", default=default, help="server address, instead of the database")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        default=default,
        help="file whose first word is the bearer token for --url (default: the token in SESSION_BUDDY_TOKEN)",
    )
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", default=default, help="PEM file with CA certificates to trust"
    )


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
    from session_buddy.client import ClientError, InvalidURLError

    if args.url is None and (args.token_file or args.ca_file):
        return _fail("--token-file and --ca-file require --url", 2)
    if args.url is not None and args.db_path is not None:
        return _fail("--db-path and --url exclude each other", 2)
    alerts: Alerts
    try:
        if args.url is None:
            alerts = DatabaseAlerts(args.db_path)
        else:
            alerts = ServerAlerts(args.url, token_file=args.token_file, ca_file=args.ca_file)
        status: int = args.work(args, alerts)
        return status
    except (_native.InvalidRecordError, InvalidURLError) as error:
        return _fail(error, 2)
    except (_native.StorageError, ClientError, OSError, ValueError) as error:
        return _fail(error)


def _fail(message: object, status: int = 1) -> int:
    return fail("alerts", escape_controls(f"error: {message}"), status)


def _print(args: argparse.Namespace, data: object, *lines: str) -> int:
    text = json.dumps(data, indent=2, ensure_ascii=False) if args.json else "\n".join(lines)
    print(escape_controls(text))
    return 0


def _list(args: argparse.Namespace, alerts: Alerts) -> int:
    page = alerts.page(open_only=not args.all, skill=args.skill)
    if args.json:
        return _print(args, page)
    if not page["alerts"]:
        return _print(args, page, f"No {'' if args.all else 'open '}alerts in {alerts.where}")
    print_table(_HEADINGS, [_cells(_parsed(alert)) for alert in page["alerts"]], right=(0,))
    if page["total"] > len(page["alerts"]):
        print(f"and {page['total'] - len(page['alerts']):,} more")
    return 0


def _parsed(alert: Mapping[str, Any]) -> Alert:
    from session_buddy.client import Alert

    return Alert.from_wire(alert)


def _cells(alert: Alert) -> tuple[str, ...]:
    return (
        str(alert.id),
        escape_controls(alert.skill_name),
        label(alert.kind),
        change(alert),
        when(alert.since),
        span(alert.once_in_seconds) if alert.once_in_seconds > 0 else "-",
        escape_controls(_state(alert)),
    )


def _state(alert: Alert) -> str:
    if is_improvement(alert.kind):
        state = "improvement"
    elif alert.ended_at is not None:
        state = f"{alert.end} {when(alert.ended_at)}"
    else:
        state = "open" if alert.acknowledged_at is None else "acknowledged"
    return state + (", muted" if alert.muted else "") + (f": {alert.note}" if alert.note else "")


def _show(args: argparse.Namespace, alerts: Alerts) -> int:
    page = alerts.page(open_only=False, skill=None)
    found = next((alert for alert in page["alerts"] if alert["id"] == args.id), None)
    if found is None:
        return _no_alert(args, alerts)
    alert = _parsed(found)
    lines = (f"  {part}" for part in explanation(alert))
    return _print(args, found, f"#{alert.id}  {alert.skill_name}  {label(alert.kind)}  {_state(alert)}", *lines)


def _no_alert(args: argparse.Namespace, alerts: Alerts) -> int:
    return _fail(f"no alert {args.id} in {alerts.where}; `session-buddy alerts --all` shows the ids")


def _acknowledge(args: argparse.Namespace, alerts: Alerts) -> int:
    alert = alerts.acknowledge(args.id, args.note)
    if alert is None:
        return _no_alert(args, alerts)
    return _print(args, alert, f"Acknowledged alert {args.id} of {alert['skill_name']}")


def _mute(args: argparse.Namespace, alerts: Alerts) -> int:
    if not _native.is_valid_skill_name(args.name):
        return _fail(f"SKILL {_native.SKILL_NAME_RULE}", 2)
    mute = alerts.mute(args.name, args.seconds, args.reason)
    return _print(args, mute, f"Muted {_described(mute)}")


def _unmute(args: argparse.Namespace, alerts: Alerts) -> int:
    if not alerts.unmute(args.name):
        return _fail(f"skill '{args.name}' is not muted in {alerts.where}")
    return _print(args, {"removed": True}, f"Unmuted {args.name}")


def _mutes(args: argparse.Namespace, alerts: Alerts) -> int:
    mutes = alerts.page(open_only=True, skill=None)["mutes"]
    return _print(args, mutes, *(map(_described, mutes) if mutes else ("No muted skills",)))


def _described(mute: Mapping[str, Any]) -> str:
    until = "until it is unmuted" if mute["until"] is None else f"until {mute['until']}"
    return f"{mute['skill_name']} {until}" + (f": {mute['reason']}" if mute["reason"] else "")
