"""``session-buddy explain``: shows why an invocation has its name, outcome and duration."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from session_buddy import _native
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_db_path, fail

_BUSY_SECONDS = 5.0
_SOURCES = {1: "hook", 8: "hook over HTTP", 4: "transcript", 2: "HTTP request"}  # bits of seen_by, in this order
_NAMES = {
    "placeholder": "the agent sent only a generic name",
    "tool": "the agent's tool, or the skill, subagent or MCP tool that its input names",
    "command": "the developer tool that the shell command runs",
    "typed": "the slash command that was typed",
    "report": "the name in the HTTP request",
    "output": "of several developer tools in the shell command, the one that the output shows to have failed",
}
_MASK = (
    "the shell command hides the exit status of the tool (as `tool | tail`, `tool || true` and `tool; echo` do), so "
    "that its success proves nothing"
)
_ERRORS = {
    "exit_code": "the command ended with an exit status other than 0",
    "timeout": "it timed out",
    "interrupted": "the user or a signal stopped it",
    "rejected": "it was rejected and never ran",
}
_WAIT = "it may include a wait for approval or for other calls of the same batch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Shows why an invocation has its name, outcome and duration: which sources reported it, what each of them "
        "reported, and which report decided. Contains no prompts, arguments, outputs or error texts: these are not "
        "stored. The database is only read."
    )
    parser.epilog = "Exit status: 0 done, 1 no such invocation, or the database cannot be read, 2 wrong usage."
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?", type=_positive, help="id of the invocation (skill_invocation.id)")
    which.add_argument("--last", metavar="N", type=_positive, help="the N invocations that were recorded last")
    which.add_argument("--open", action="store_true", help="the invocations that have not ended yet")
    parser.add_argument("--skill", metavar="NAME", default="", help="with --last or --open: only this skill")
    add_db_path(parser)
    parser.add_argument("--json", action="store_true", help="print the evidence as JSON")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the explanations, return the exit status."""
    if args.skill and args.id is not None:
        return fail("explain", "error: --skill only limits --last and --open", 2)
    try:
        db_path = _native.resolve_db_path(args.db_path)
        if not Path(db_path).exists():
            return fail("explain", f"error: no database {db_path}; check --db-path, or record something first")
        found = _native.explain_invocations(
            db_path,
            busy_timeout=_BUSY_SECONDS,
            id=args.id,
            last=min(args.last or 0, _native.MAX_EXPLAINED),
            open=_native.MAX_EXPLAINED if args.open else 0,
            skill=args.skill,
        )
    except (_native.StorageError, ValueError) as error:
        return fail("explain", escape_controls(f"error: {error}"))
    if not found:
        return fail("explain", escape_controls(f"error: {_nothing(args, db_path)}"))
    if args.json:
        print(escape_controls(json.dumps({"db_path": db_path, "invocations": found}, indent=2, ensure_ascii=False)))
    else:
        print("\n\n".join(escape_controls("\n".join(explain(one))) for one in found))
    return 0


def _nothing(args: argparse.Namespace, db_path: str) -> str:
    if args.id is not None:
        return (
            f"no invocation {args.id} in {db_path}; `session-buddy explain --last 10` shows the ids of the latest ones"
        )
    kind = "open invocation" if args.open else "invocation"
    return f"no {kind}{f' of {args.skill}' if args.skill else ''} in {db_path}"


# ---- The texts


def explain(one: _native.ExplainedInvocation) -> Iterator[str]:
    """The lines that explain an invocation."""
    is_open = one["id"] is None
    heading = "open" if is_open else f"#{one['id']}"
    yield f"{heading}  {one['skill_name']}  {_result(one, is_open=is_open)}"
    yield f"  invoked   {one['invoked_at']} in session {one['session_id'] or '(none)'}"
    if one["key"]:
        yield f"  key       {one['key']}"
    sources = [name for bit, name in _SOURCES.items() if one["seen_by"] & bit]
    if sources:
        yield f"  seen by   {', '.join(sources)}"
    if not one["has_evidence"]:
        yield f"  evidence  {_without_evidence(one)}"
        return
    if one["name_basis"] in _NAMES:
        yield f"  name      {_NAMES[one['name_basis']]}"
    if one["session_is_copied"]:
        yield "  session   of a copy of the record, in a forked or resumed session; the original was not read"
    yield f"  outcome   {_open_reason(one) if is_open else _outcome_reason(one)}"
    if not is_open:
        yield f"  duration  {_duration_reason(one)}"
    for what, end in (("call", one["result"]), ("background", one["background_end"])):
        yield from _claims(what, end)
    if one["verdict"]:
        yield f"  verdict   {one['verdict']}, from the output ({one['verdict_by']})"


def _result(one: _native.ExplainedInvocation, *, is_open: bool) -> str:
    if is_open:
        return "not ended yet"
    outcome = one["outcome"] + (f" ({one['error_type']})" if one["error_type"] else "")
    if one["duration_seconds"] is None:
        return f"{outcome}, no duration"
    return f"{outcome}, {'at most ' if one['duration_is_bound'] else ''}{_seconds(one['duration_seconds'])}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.3f}".rstrip("0").rstrip(".") + " s"


def _without_evidence(one: _native.ExplainedInvocation) -> str:
    if not one["key"]:
        return "not known: it was recorded without a dedup key, by another program or by `session-buddy record`"
    text = "not known: an earlier version recorded it, which did not store what each source reported"
    if one["seen_by"] & (1 | 4 | 8):
        text += "; `session-buddy import --reclassify` derives it from the transcript, if that still exists"
    return text


def _deciding_end(one: _native.ExplainedInvocation) -> _native.ClaimedEnd:
    return one["background_end"] if one["in_background"] else one["result"]


def _open_reason(one: _native.ExplainedInvocation) -> str:
    if one["in_background"]:
        return "it runs in the background; no source has reported its end"
    return "no source has reported its end"


def _outcome_reason(one: _native.ExplainedInvocation) -> str:
    end = _deciding_end(one)
    where = "its end in the background was" if one["in_background"] else "its end was"
    if end["outcome"] is None:
        if one["is_abandoned"]:
            return (
                "unknown: no source reported its end before the session ended or hook_timeout passed; a later report "
                "replaces this"
            )
        return f"{one['outcome']}: no source reported its end"
    by = f"{where} reported as {end['outcome']} by: {end['outcome_by']}"
    if one["is_masked"] and end["outcome"] == "completed":
        by = by[0].upper() + by[1:]
        if one["verdict"]:
            return f"{one['outcome']}: the output of the tool shows it. {by}, but {_MASK}"
        return f"unknown: {_MASK}, and the output shows no verdict of the tool. {by}"
    error = _ERRORS.get(end["error_type"] or "")
    return f"{one['outcome']}: {by}" + (f"; {error}" if error else "")


def _duration_reason(one: _native.ExplainedInvocation) -> str:
    end = _deciding_end(one)
    if one["duration_seconds"] is None:
        if one["error_type"] == "rejected":
            return "none: it never ran"
        return "none: no source reported a duration, or start and end"
    duration = _seconds(one["duration_seconds"])
    if end["measured_seconds"] is not None:
        return f"{duration}, as the agent measured it without waits ({end['measured_by']})"
    if one["started_at"] and end["at"]:
        return (
            f"{duration}, from {one['started_at']} ({one['started_by']}) to {end['at']} ({end['at_by']}): an upper "
            f"bound, because {_WAIT}"
        )
    return f"{duration}"


def _claims(what: str, end: _native.ClaimedEnd) -> Iterator[str]:
    """The reports about an end, the deciding one of each kind."""
    parts: list[str] = []
    if end["outcome"] is not None:
        error = f" ({end['error_type']})" if end["error_type"] else ""
        parts.append(f"{end['outcome']}{error} by {end['outcome_by']}")
    if end["at"] is not None:
        parts.append(f"ended {end['at']} by {end['at_by']}")
    if end["measured_seconds"] is not None:
        parts.append(f"took {_seconds(end['measured_seconds'])} by {end['measured_by']}")
    if parts:
        yield f"  {what:<10}{'; '.join(parts)}"
