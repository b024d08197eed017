"""Certificates that tests generate, as PEM files."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


class Certificates:
    """A certificate authority and the certificates it signs, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.authority_file = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(self.authority_file)
        self.cert = folder / "cert.pem"
        self.key = folder / "key.pem"
        self.install("localhost")

    def install(
        self, name: str, *, valid_from: timedelta = timedelta(hours=-2), valid_for: timedelta = timedelta(hours=1)
    ) -> None:
        """Replaces the server certificate for localhost; `name` is its common name, to distinguish them."""
        now = datetime.now(timezone.utc)
        made = self.authority.issue_cert(
            "localhost",
            "127.0.0.1",
            "::1",
            common_name=name,
            not_before=now + valid_from,
            not_after=now + valid_for,
        )
        self.key.write_bytes(made.private_key_pem.bytes())
        self.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))

    @property
    def options(self) -> list[str]:
        """The TLS options of a server command."""
        return ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]

    @property
    def settings(self) -> dict[str, Path]:
        """The TLS settings of the Python class."""
        return {"tls_cert": self.cert, "tls_key": self.key}

    def client_context(self, identity: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """The TLS context of a client that trusts only this authority."""
        context = ssl.create_default_context(cafile=str(self.authority_file))
        if identity is not None:
            identity.configure_cert(context)
        return context


def client_hello(context: ssl.SSLContext) -> bytes:
    """The ClientHello that a client sends first."""
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    return sent.read()


def common_name(context: ssl.SSLContext, port: int) -> str:
    """The common name of the server's certificate."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert()
    assert certificate is not None
    return next(value for part in certificate["subject"] for name, value in part if name == "commonName")
