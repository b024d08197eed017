"""Write what the option table of the native module determines.

usage: write_options.py [--check]

- docs/reference/configuration.md: the option tables
- python/session_buddy/realtime/websocket_server.py: the arguments of RealTimeMetricsServer and their documentation
- fuzz/config_file.dict: the keys of a config file

With --check, writes nothing and exits with status 1 if a file is out of date.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from session_buddy import _native

ROOT = Path(__file__).resolve().parents[1]
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))
_LINE_LENGTH = 120
_POSITIONAL = ("host", "port", "db_path", "update_interval")  # the others can only be passed by name

# Pages that say more about an option.
_MORE = {
    "allow_host": "../api/WEBSOCKET_API.md#origins-and-hosts",
    "allow_origin": "../api/WEBSOCKET_API.md#origins-and-hosts",
    "anomaly_threshold": "../explanation/anomaly-detection.md#choosing-the-threshold",
    "auth_token_file": "../api/WEBSOCKET_API.md#authentication",
    "behind_proxy": "../api/WEBSOCKET_API.md#behind-nginx",
    "builtin_commands": "ingestion.md#what-becomes-a-row",
    "compression": "../api/WEBSOCKET_API.md#compressed-messages",
    "db_path": "#location-of-the-database",
    "hook_timeout": "ingestion.md#what-becomes-a-row",
    "max_clients": "../api/WEBSOCKET_API.md#limits",
    "max_intake_bytes": "ingestion.md#invocations-of-other-tools",
    "max_queries": "../api/HTTP_API.md#errors",
    "max_tracked_skills": "../explanation/reliability.md#too-many-names",
    "metrics_max_skills": "../api/PROMETHEUS.md#how-many-series",
    "push": "../explanation/architecture.md#data-flow",
    "replace_triggers": "../storage/V4_SCHEMA.md#triggers",
    "retention": "../storage/V4_SCHEMA.md#keeping-it-small",
    "tls_cert": "../api/WEBSOCKET_API.md#tls",
    "tools": "ingestion.md#what-becomes-a-row",
}


def seconds(value: float) -> str:
    """`24 h` for 86400: the largest unit, up to 48 of it, that has a whole number."""
    if value == 0:
        return "0"
    for size, unit in _UNITS:
        if value >= size and value % size == 0 and (unit != "d" or value > 86400):
            return f"{value / size:g} {unit}"
    return f"{value:g} s"


def default(option: _native.OptionDescription) -> str:
    value = option["default"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"`{value}`" if value else ""
    return seconds(float(value)) if option["kind"] == "duration" else f"{value:g}" if value < 1e6 else str(value)


def allowed(option: _native.OptionDescription) -> str:
    span = option["range"].removesuffix(" seconds")
    if option["kind"] == "duration":
        low, high = (float(text) for text in span.split(" to "))
        return f"{seconds(low)} to {seconds(high)}"
    return "" if option["kind"] == "boolean" else span


def tables() -> str:
    """One table for each group of options, in the order of --help."""
    text = []
    for group, options in groupby(_native.options(), key=lambda option: option["group"]):
        text.append(f"### {group}\n\n| option | default | accepted | meaning |\n| --- | --- | --- | --- |\n")
        for option in options:
            name = option["name"]
            meaning = re.sub(r"([|*])", r"\\\1", option["help"])
            if option["kind"] == "secret":
                meaning += "; has no flag"
            if option["cli_only"]:
                meaning += "; not an argument of `RealTimeMetricsServer`"
            if name in _MORE:
                meaning += f" ([details]({_MORE[name]}))"
            text.append(f"| `{name}` | {default(option)} | {allowed(option)} | {meaning} |\n")
        text.append("\n")
    return "\n" + "".join(text)


def arguments() -> list[_native.OptionDescription]:
    """The options of RealTimeMetricsServer, the positional ones first."""
    own = [option for option in _native.options() if not option["cli_only"]]
    return sorted(own, key=lambda option: (*_POSITIONAL, option["name"]).index(option["name"]))


def signature() -> str:
    """The parameters of RealTimeMetricsServer."""
    types = {"boolean": "bool", "integer": "int", "number": "float", "duration": "float"}
    lines = []
    for index, option in enumerate(arguments()):
        is_path = option["kind"] == "path" or option["name"] == "db_path"
        kind = "str | os.PathLike[str]" if is_path else types.get(option["kind"], "str")
        value = repr(option["default"]).replace("'", '"')
        if is_path or option["security_critical"]:  # where an empty string is an error, None stands for "not set"
            kind, value = f"{kind} | None", "None"
        lines += ["        *,\n"] if index == len(_POSITIONAL) else []
        lines.append(f"        {option['name']}: {kind} = {value},\n")
    return "".join(lines)


def documentation() -> str:
    """The section Args of the docstring of RealTimeMetricsServer."""
    lines = []
    for option in arguments():
        meaning, semicolon, more = option["help"].partition(";")
        accepted = "" if option["kind"] == "boolean" or not option["range"] else f", {option['range']}"
        text = f"{option['name']}: {meaning}{accepted}{semicolon}{more}."
        wrapped = textwrap.wrap(
            text,
            _LINE_LENGTH,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.append("\n".join(wrapped) + "\n")
    return "".join(lines)


def keys() -> str:
    """The keys of a config file, for the fuzzer."""
    return "".join(f'"{option["name"]} = "\n' for option in _native.options())


# File → what is replaced in it, between two texts that stay.
_SERVER = "python/session_buddy/realtime/websocket_server.py"
_GENERATED: tuple[tuple[str, str, Callable[[], str], str], ...] = (
    ("docs/reference/configuration.md", "<!-- options -->\n", tables, "<!-- /options -->"),
    (_SERVER, "    Args:\n", documentation, "        max_pending_snapshots: "),
    (_SERVER, "        self,\n", signature, "        max_pending_snapshots: int"),
    ("fuzz/config_file.dict", "# Keys of the config file.\n", keys, "# Units"),
)


def main(given: list[str]) -> int:
    if given not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    status = 0
    for name, begin, generate, end in _GENERATED:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        head, found, rest = text.partition(begin)
        tail = rest[rest.index(end) :]
        current = f"{head}{found}{generate()}{tail}"
        if current != text and given:
            print(f"{path} is out of date: run python scripts/write_options.py", file=sys.stderr)
            status = 1
        elif current != text:
            path.write_text(current, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
