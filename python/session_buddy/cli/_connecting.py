"""What commands that are clients of a server have in common: its address, certificate and token."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from session_buddy.client import DEFAULT_URL
from session_buddy.client._endpoint import TOKEN_VARIABLE

MAX_TOKEN_BYTES = 8192  # as the server takes them


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Address, token and authorities. No flag takes a token: every user of a machine sees the command lines of all."""
    parser.add_argument(
        "--url", default=DEFAULT_URL, help="the server: ws://, wss://, http://, https:// or host:port (%(default)s)"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file that begins with the token to show; read again when the server no longer accepts it "
        f"(default: the token in {TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="PEM file with the authorities that sign the server's certificate"
    )


def token_source(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | Callable[[], str] | None:
    """The token to show. Raises OSError or ValueError where the file holds none."""
    if file is None:
        return environment.get(TOKEN_VARIABLE) or None

    def read() -> str:
        with file.open("rb") as opened:
            words = opened.read(MAX_TOKEN_BYTES).split(maxsplit=1)
        if not words:
            raise ValueError(f"there is no token in {file}")
        try:
            return words[0].decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"what {file} begins with is no token") from None

    read()
    return read
