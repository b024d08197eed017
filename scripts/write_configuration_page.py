"""Write the option tables of docs/reference/configuration.md from the option table of the native module.

usage: write_configuration_page.py [--check]

Replaces the text between the markers `<!-- options -->` and `<!-- /options -->`. With --check, writes nothing and exits
with status 1 if the page is out of date.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

from session_buddy import _native

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "configuration.md"
_MARKED = re.compile(r"(?<=<!-- options -->\n).*?(?=<!-- /options -->)", re.DOTALL)
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))

# Pages that say more about an option.
_MORE = {
    "allow_host": "../api/WEBSOCKET_API.md#origins-and-hosts",
    "allow_origin": "../api/WEBSOCKET_API.md#origins-and-hosts",
    "anomaly_threshold": "../explanation/anomaly-detection.md#choosing-the-threshold",
    "auth_token_file": "../api/WEBSOCKET_API.md#authentication",
    "behind_proxy": "../api/WEBSOCKET_API.md#behind-nginx",
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


def current(page: str) -> str:
    """The page with its tables as the program has them."""
    if not _MARKED.search(page):
        raise SystemExit(f"{PAGE.name} has no markers <!-- options --> and <!-- /options -->")
    return _MARKED.sub(lambda _: tables(), page)


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    if arguments == ["--check"]:
        if page != current(page):
            print(f"{PAGE} is out of date: run python scripts/write_configuration_page.py", file=sys.stderr)
            return 1
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    PAGE.write_text(current(page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
