"""nginx as a process; its files are in a folder of the test."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import tools
from .certificates import Certificates
from .paths import ROOT
from .processes import DEADLINE, Program

CONFIG = ROOT / "docs" / "deploy" / "nginx.conf"

# Paths that nginx opens at start, needed or not.
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def free_port() -> int:
    """A free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Nginx(Program):
    """nginx with this configuration, which must include `folder`/conf.d/*.conf in its http block.

    Entered, it accepts connections on `port`.
    """

    def __init__(self, folder: Path, config: str, port: int) -> None:
        self.port = port
        (folder / "conf.d").mkdir(parents=True)
        (folder / "conf.d" / "temporary.conf").write_text(
            "".join(f"{name}_temp_path {folder}/{name};\n" for name in _TEMPORARY), encoding="utf-8"
        )
        file = folder / "nginx.conf"
        file.write_text(config, encoding="utf-8")
        self._command = [tools.nginx(), "-p", str(folder), "-c", str(file), "-e", "stderr", "-g", "daemon off;"]
        super().__init__(self._command)

    def __enter__(self) -> Nginx:
        self._run("-t")
        super().__enter__()
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE).close()
                return self
            except ConnectionRefusedError:
                assert self.process.poll() is None, "\n".join(self.drain())
                assert time.monotonic() < deadline
                time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        # Terminated, not killed: otherwise the workers would outlive their master.
        self.stop(signal.SIGTERM)

    def reload(self) -> None:
        """Reloads the configuration and the certificates; returns before the new workers have taken over."""
        self._run("-s", "reload")

    def _run(self, *options: str) -> None:
        result = subprocess.run([*self._command, *options], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


class DeployedNginx(Nginx):
    """docs/deploy/nginx.conf before a server on `server_port`, with other ports, paths and names.

    `times` replace values in the file: directives and their values, such as worker_shutdown_timeout="1s".
    """

    def __init__(self, folder: Path, certificates: Certificates, server_port: int, **times: str) -> None:
        port, self.plain_port = free_port(), free_port()
        replacements = {
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "listen [::]:443 ": f"listen [::1]:{port} ",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen [::]:80;": f"listen [::1]:{self.plain_port};",
            "127.0.0.1:8765": f"127.0.0.1:{server_port}",
            "metrics.example.org": "localhost",
            # Only root can switch the user, and other users cannot enter root's folders.
            "user www-data;": f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            "/run/": f"{folder}/",
            "/var/log/nginx/": f"{folder}/",
            "/etc/nginx/": f"{folder}/",
            "/etc/ssl/session-buddy/fullchain.pem": str(certificates.cert),
            "/etc/ssl/session-buddy/privkey.pem": str(certificates.key),
        }
        text = CONFIG.read_text(encoding="utf-8")
        lines = [line.strip() for line in text.splitlines()]
        for directive, value in times.items():
            (line,) = (line for line in lines if line.startswith(f"{directive} "))
            replacements[line] = f"{directive} {value};"
        for old, new in replacements.items():
            assert old in text, f"{CONFIG.name} has no {old!r}"
            text = text.replace(old, new)
        super().__init__(folder, text, port)

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.port}/ws"
