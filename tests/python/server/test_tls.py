"""wss and https with real clients: Python, Node, openssl; reloaded certificates and unusable ones."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
import websockets
from websockets.exceptions import InvalidMessage

from conftest import ServerFactory
from support import tools
from support.certificates import Certificates, common_name
from support.paths import JS
from support.processes import DEADLINE, Program, Server, ServerProcess, wait_until


async def test_python_gets_updates_and_http_over_tls(certificates: Certificates, filled_db: Path) -> None:
    with Server(filled_db, *certificates.options) as server:
        assert server.url.startswith("wss://")
        context = certificates.client_context()
        async with websockets.connect(server.url, ssl=context) as client:
            assert json.loads(await client.recv())["data"]["top_skills"][0]["skill_name"] == "pytest-run"
        url = f"https://localhost:{server.port}/readyz"
        with urllib.request.urlopen(url, context=context, timeout=20) as response:
            assert json.load(response) == {"status": "ready"}
        with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
            urllib.request.urlopen(url, timeout=20)


def test_a_plain_request_is_answered_that_tls_is_required(certificates: Certificates, filled_db: Path) -> None:
    with Server(filled_db, *certificates.options) as server:
        with pytest.raises(urllib.error.HTTPError) as rejected:
            urllib.request.urlopen(f"http://localhost:{server.port}/healthz", timeout=20)
        assert rejected.value.code == 400
        assert json.load(rejected.value)["error"] == "tls_required"


def test_the_tests_in_javascript(certificates: Certificates, filled_db: Path) -> None:
    command = [tools.node(), "--test", "--test-reporter=tap", str(JS / "client.test.mjs")]
    with (
        Server(filled_db, "--ping-interval", "200ms", *certificates.options) as server,
        Program(
            command, env={"SERVER_URL": server.url, "NODE_EXTRA_CA_CERTS": str(certificates.authority_file)}
        ) as program,
    ):
        lines = program.drain()
        status = program.process.wait()
    assert status == 0, "\n".join(lines)


# The old versions need an openssl that still has them and is configured to allow them.
HANDSHAKES = [
    (["-tls1_3"], "TLSv1.3"),
    (["-tls1_2"], "TLSv1.2"),
    (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], None),
    (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], None),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "TLSv1.2"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "TLSv1.2"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "TLSv1.2"),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], None),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], None),
    (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], None),
    (["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], None),
    (["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"], None),
    (["-tls1_3", "-groups", "P-521"], None),
]


def test_versions_and_ciphers_as_openssl_sees_them(certificates: Certificates, filled_db: Path) -> None:
    with Server(filled_db, *certificates.options) as server:
        for options, version in HANDSHAKES:
            result = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-brief", *options],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            found = re.search(r"Protocol version: (\S+)", result.stderr)
            assert (found[1] if found else None) == version, (options, result.stderr)
            assert found or "alert" in result.stderr, (options, result.stderr)


async def test_sighup_reloads_the_certificate_and_drops_no_client(certificates: Certificates, filled_db: Path) -> None:
    with Server(filled_db, *certificates.options) as server:
        context = certificates.client_context()
        async with websockets.connect(server.url, ssl=context) as client:
            certificates.install("second")
            server.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(server.wait_for, "certificates and tokens reloaded")
            assert common_name(context, server.port) == "second"

            certificates.install("third", valid_for=timedelta(hours=-1))
            server.process.send_signal(signal.SIGHUP)
            line = await asyncio.to_thread(
                server.wait_for, "reload failed; keeping the previous certificates and tokens"
            )
            assert f"cannot use the TLS certificate {certificates.cert}: it expired at " in line
            assert common_name(context, server.port) == "second"

            certificates.key.unlink()
            server.process.send_signal(signal.SIGHUP)
            line = await asyncio.to_thread(
                server.wait_for, "reload failed; keeping the previous certificates and tokens"
            )
            assert f"cannot read the TLS key {certificates.key}: No such file or directory" in line
            assert common_name(context, server.port) == "second"

            assert json.loads(await client.recv())["type"] == "metrics_update"
        assert server.stop() == 0


def test_sighup_without_tls_ends_the_server_as_before(filled_db: Path) -> None:
    with Server(filled_db) as server:
        assert server.stop(signal.SIGHUP) == -signal.SIGHUP


async def test_the_python_class_reloads(certificates: Certificates, server_factory: ServerFactory) -> None:
    context = certificates.client_context()
    server = server_factory(**certificates.settings)
    await server.reload()  # nothing yet
    async with server, websockets.connect(f"wss://localhost:{server.port}", ssl=context) as client:
        certificates.install("second")
        await server.reload()
        await asyncio.to_thread(
            wait_until, lambda: common_name(context, server.port) == "second", "it shows its new certificate"
        )
        certificates.cert.write_text("nothing")
        with pytest.raises(ssl.SSLError, match=r"cannot use the TLS certificate .*: there is no PEM certificate"):
            await server.reload()
        assert common_name(context, server.port) == "second"
        assert json.loads(await client.recv())["type"] == "metrics_update"
    with pytest.raises(OSError, match="there is no PEM certificate"):
        await server.start()


async def test_only_a_client_certificate_of_the_authority_is_accepted(
    certificates: Certificates, server_factory: ServerFactory, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Certificates(tmp_path / "other")
    settings = {**certificates.settings, "tls_client_ca": certificates.authority_file}
    async with server_factory(**settings) as server:
        url = f"wss://localhost:{server.port}"
        member = certificates.client_context(certificates.authority.issue_cert("member@example.org"))
        async with websockets.connect(url, ssl=member) as client:
            assert json.loads(await client.recv())["type"] == "metrics_update"
        stranger = certificates.client_context(other.authority.issue_cert("stranger@example.org"))
        for rejected in (certificates.client_context(), stranger):
            with pytest.raises((OSError, InvalidMessage)):
                await websockets.connect(url, ssl=rejected)


@pytest.mark.parametrize("fault", ["expired", "early", "mismatch", "missing", "garbage", "passphrase"])
def test_an_unusable_certificate_or_key_is_one_clear_line_and_status_1(
    certificates: Certificates, server_command: list[str], db_path: Path, tmp_path: Path, fault: str
) -> None:
    key = f"the TLS key {certificates.key}"
    cert = f"the TLS certificate {certificates.cert}"
    if fault == "expired":
        certificates.install("late", valid_for=timedelta(hours=-1))
        message = f"cannot use {cert}: it expired at "
    elif fault == "early":
        certificates.install("early", valid_from=timedelta(hours=1), valid_for=timedelta(hours=2))
        message = f"cannot use {cert}: it is not valid before "
    elif fault == "mismatch":
        other = certificates.key.read_bytes()
        certificates.install("other")
        certificates.key.write_bytes(other)
        message = f"cannot use {key}: it does not belong to the certificate {certificates.cert}"
    elif fault == "missing":
        certificates.key.unlink()
        message = f"cannot read {key}: No such file or directory"
    elif fault == "garbage":
        certificates.cert.write_text("garbage")
        message = f"cannot use {cert}: there is no PEM certificate in it"
    else:
        locked = tmp_path / "locked.pem"
        lock = ["openssl", "pkcs8", "-topk8", "-in", str(certificates.key), "-out", str(locked)]
        subprocess.run([*lock, "-passout", "pass:secret"], check=True)
        locked.replace(certificates.key)
        message = f"cannot use {key}: it is encrypted with a passphrase"
    arguments = [*server_command, "--port=0", "--db-path", str(db_path), "--log-level=off", *certificates.options]
    with ServerProcess(arguments) as process:
        status, output, errors = process.finish()
    assert (status, output) == (1, "")
    assert errors.startswith(f"session-buddy-server: error: {message}")
    assert errors.count("\n") == 1
    assert not db_path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tls-cert=/c.pem"], "tls_cert requires tls_key, which is not set"),
        (["--tls-key=/k.pem"], "tls_key requires tls_cert, which is not set"),
        (["--tls-client-ca=/a.pem"], "tls_client_ca requires tls_cert and tls_key, which are not set"),
        (
            ["--trusted-proxies=10.0.0.1/8"],
            "trusted_proxies must be comma-separated addresses and networks, but '10.0.0.1/8' is neither",
        ),
    ],
)
def test_an_incomplete_setting_is_wrong_usage(server_command: list[str], arguments: list[str], message: str) -> None:
    with ServerProcess([*server_command, *arguments]) as process:
        assert process.finish() == (2, "", f"session-buddy-server: error: {message}\n")
