"""The server does not start where authentication is misconfigured, or where it would serve a network without it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import ServerFactory
from support.certificates import Certificates
from support.processes import ServerProcess, native_binary
from support.tokens import READER, SCRAPER, SECRET, ec_key, pem, rsa_key, write_secret


def private(text: str, mode: int = 0o600) -> Callable[[Path], Path]:
    return lambda folder: write_secret(folder / "file", text, mode)


STARTS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "no token file": ("--auth-token-file", lambda folder: folder / "file", "cannot read the token file"),
    "a folder": ("--auth-token-file", lambda folder: folder, "it is not a regular file"),
    "readable by all": (
        "--auth-token-file",
        private(READER, 0o644),
        "others can read or change it (mode 0644); chmod 600",
    ),
    "for the group": (
        "--auth-token-file",
        private(READER, 0o640),
        "others can read or change it (mode 0640); chmod 600",
    ),
    "an unknown scope": (
        "--auth-token-file",
        private(f"{READER}\n{SCRAPER} admin\n"),
        "line 2: unknown scope: the token may be followed by read, write and metrics",
    ),
    "no public key": ("--jwt-public-key", lambda folder: folder / "file", "cannot read the JWT public key"),
    "a private key": ("--jwt-public-key", private("-----BEGIN PRIVATE KEY-----\n"), "there is no PEM public key in it"),
    "a short RSA key": (
        "--jwt-public-key",
        private(pem(rsa_key(1024))),
        "its 1024 bits are too few: RS256 needs at least 2048",
    ),
    "a key that all can change": (
        "--jwt-public-key",
        private(pem(ec_key()), 0o666),
        "others can change it (mode 0666); chmod go-w",
    ),
    "another curve": ("--jwt-public-key", private(pem(ec_key(ec.SECP384R1()))), "it is not on the curve P-256"),
}


@pytest.fixture
def failed_start(db_path: Path) -> Iterator[Callable[..., tuple[int, str]]]:
    """Starts the binary, which must fail; returns its status and its error: one line, without any secret."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        command = [native_binary(), "--port=0", "--db-path", str(db_path), "--log-level=off", *arguments]
        with ServerProcess(command, env={**os.environ, **(env or {})}) as process:
            status, output, errors = process.finish()
        assert output == ""
        assert errors.startswith("session-buddy-server: error: ")
        assert errors.count("\n") == 1
        assert READER not in errors
        return status, errors

    yield run
    assert not db_path.exists()


@pytest.mark.parametrize("case", STARTS)
def test_unusable_security_settings_are_an_error_at_start(
    failed_start: Callable[..., tuple[int, str]], tmp_path: Path, case: str
) -> None:
    option, make, message = STARTS[case]
    folder = tmp_path / "files"
    folder.mkdir()
    status, errors = failed_start(option, str(make(folder)))
    assert (status, message in errors) == (1, True), errors
    assert str(folder) in errors


@pytest.mark.parametrize(
    ("arguments", "env", "status", "message"),
    [
        ([], {"SESSION_BUDDY_JWT_SECRET": "x" * 31}, 1, "jwt_secret is too short: HS256 needs 32 bytes or more"),
        (
            [],
            {"SESSION_BUDDY_JWT_SECRET": ""},
            2,
            "SESSION_BUDDY_JWT_SECRET is set and empty; give it a value or unset",
        ),
        ([], {"SESSION_BUDDY_AUTH_TOKEN_FILE": ""}, 2, "SESSION_BUDDY_AUTH_TOKEN_FILE is set and empty"),
        ([], {"SESSION_BUDDY_TLS_CLIENT_CA": ""}, 2, "SESSION_BUDDY_TLS_CLIENT_CA is set and empty"),
        ([], {"SESSION_BUDDY_CONFIG": ""}, 2, "SESSION_BUDDY_CONFIG is set and empty"),
        (["--tls-client-ca", ""], {}, 2, "--tls-client-ca must be the path of a file, not ''"),
        (
            [],
            {"SESSION_BUDDY_JWT_SECRET": pem(ec_key())},
            2,
            "SESSION_BUDDY_JWT_SECRET must not contain control characters",
        ),
        (["--auth-token-file", ""], {}, 2, "--auth-token-file must be the path of a file, not ''"),
        ([f"--jwt-secret={READER}{READER}"], {}, 2, "--jwt-secret is not accepted on the command line"),
        (["--jwt-audience=me"], {}, 2, "jwt_audience requires jwt_secret or jwt_public_key, which are not set"),
        (["--jwt-issuer=me"], {}, 2, "jwt_issuer requires jwt_secret or jwt_public_key, which are not set"),
        (["--jwt-public-key=k.pem"], {"SESSION_BUDDY_JWT_SECRET": SECRET}, 2, "are mutually exclusive"),
    ],
)
def test_incomplete_security_settings_are_an_error_at_start(
    failed_start: Callable[..., tuple[int, str]], arguments: list[str], env: dict[str, str], status: int, message: str
) -> None:
    found, errors = failed_start(*arguments, env=env)
    assert (found, message in errors) == (status, True), errors


def test_a_config_file_with_a_secret_must_be_readable_by_its_owner_only(
    failed_start: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    config = write_secret(tmp_path / "config.toml", f'jwt_secret = "{SECRET}"\n', 0o644)
    status, errors = failed_start("--config", str(config))
    assert status == 2
    assert f"{config} contains jwt_secret, but others can read or change it (mode 0644)" in errors
    config.chmod(0o600)
    with ServerProcess([native_binary(), "--config", str(config), "--print-config"]) as process:
        status, output, errors = process.finish()
    assert (status, errors) == (0, "")
    assert '# jwt_secret = "(hidden)"' in output
    assert SECRET not in output


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("given", [[], ["tls"], ["tokens"], ["proxy"]], ids=str)
def test_the_network_is_not_served_without_tls_and_tokens(
    failed_start: Callable[..., tuple[int, str]], options_of: Callable[..., list[str]], host: str, given: list[str]
) -> None:
    status, errors = failed_start("--host", host, *options_of(given))
    assert status == 2
    assert f"refusing to listen on {host} (not loopback) without both TLS" in errors


@pytest.mark.parametrize("given", [["tls", "tokens"], ["proxy", "tokens"], ["mutual tls"], ["insecure"]], ids=str)
def test_the_network_is_served_with_tls_and_tokens_or_on_purpose(
    options_of: Callable[..., list[str]], db_path: Path, given: list[str]
) -> None:
    command = [native_binary(), "--port=0", "--db-path", str(db_path), "--host=0.0.0.0", *options_of(given)]
    with ServerProcess(command) as process:
        assert process.wait_until_listening()


@pytest.fixture
def options_of(certificates: Certificates, tmp_path: Path) -> Callable[..., list[str]]:
    options = {
        "tls": certificates.options,
        "tokens": ["--auth-token-file", str(write_secret(tmp_path / "tokens", READER))],
        "proxy": ["--behind-proxy"],
        "mutual tls": [*certificates.options, "--tls-client-ca", str(certificates.authority_file)],
        "insecure": ["--insecure"],
    }
    return lambda names: [option for name in names for option in options[name]]


def test_the_python_class_rejects_the_network_too(server_factory: ServerFactory) -> None:
    with pytest.raises(ValueError, match=r"refusing to listen on 0\.0\.0\.0"):
        asyncio.run(server_factory(host="0.0.0.0").start())
