"""Precedence of settings: flags, variables, the file, defaults; and --print-config, which shows it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from session_buddy import _native
from support.processes import entry_points
from support.tokens import write_secret


def print_config(command: list[str], *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [*command, *arguments, "--print-config"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def parsed(text: str) -> dict[str, tuple[str, str]]:
    """name → (value as TOML, origin). Empty and secret values are in a comment."""
    lines = re.findall(r"^(?:# )?(\w+) = (.*?) +# (.*)$", text, re.MULTILINE)
    return {name: (value, origin) for name, value, origin in lines}


def test_every_option_is_printed_with_its_default(server_command: list[str]) -> None:
    settings = parsed(print_config(server_command))
    assert list(settings) == [option["name"] for option in _native.options()]
    for name, (_, origin) in settings.items():
        assert origin == "default", name
    assert settings["port"][0] == "8765"
    assert settings["update_interval"][0] == "1.0"
    assert settings["host"][0] == '"localhost"'
    assert settings["replace_triggers"][0] == "false"


def test_precedence(server_command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nmax_clients = 1\nupdate_interval = "250ms"\ntop_skills = 5\nreplace_triggers = true\n')
    settings = parsed(
        print_config(
            server_command, "--config", str(file), "--port=3", SESSION_BUDDY_PORT="2", SESSION_BUDDY_MAX_CLIENTS="2"
        )
    )
    assert settings["port"] == ("3", "--port")
    assert settings["max_clients"] == ("2", "SESSION_BUDDY_MAX_CLIENTS")
    assert settings["update_interval"] == ("0.25", str(file))
    assert settings["replace_triggers"] == ("true", str(file))
    assert settings["window"] == ("86400.0", "default")


def test_every_option_can_come_from_every_source(tmp_path: Path) -> None:
    binary = entry_points()["binary"]
    values = {
        "text": "/some/where.db",
        "path": "/some/where.pem",
        "secret": "thirty-two-bytes-or-more-of-a-secret",
        "list": "10.0.0.0/8",
        "boolean": "true",
        "integer": "1234",
        "number": "7.5",
        "duration": "77",
        "choice": "error",
    }
    for option in _native.options():
        text = values[option["kind"]]
        expected = {
            "text": f'"{text}"',
            "path": f'"{text}"',
            "secret": '"(hidden)"',
            "list": f'"{text}"',
            "duration": "77.0",
            "choice": '"error"',
        }.get(option["kind"], text)
        if option["name"] in {"top_skills", "metrics_max_phases"}:
            text = expected = "77"
        if option["name"] == "max_write_lock":
            text, expected = "7", "7.0"
        if option["name"] in {"max_subscriptions", "max_auth_failures_per_second"}:
            text = expected = "7"
        if option["name"] == "max_pending_bytes":
            text = expected = "12345"
        if option["name"] in {"max_intake_bytes", "max_response_bytes"}:
            text = expected = "12345678"
        if option["name"] == "alert_budget":
            text, expected = "0.5/day", '"0.5/day"'
        if option["name"] == "tools":
            text, expected = "just test=just-test", '"just test=just-test"'
        if option["name"] == "allow_origin":
            text, expected = "https://a.example", '"https://a.example"'
        if option["name"] == "allow_host":
            text, expected = "a.example,*.b.example", '"a.example,*.b.example"'
        if option["name"] == "anomaly_min_samples":
            text = expected = "7"
        if option["name"] == "baseline_window":
            text, expected = "777", "777.0"
        if option["name"] == "retention":
            text, expected = "777777", "777777.0"
        extra = {
            "ping_interval": ["--ping-timeout=100"],
            "baseline_window": ["--observation-window=100"],
            "jwt_audience": ["--jwt-public-key=/k.pem"],
            "jwt_issuer": ["--jwt-public-key=/k.pem"],
            "tls_cert": ["--tls-key=/k.pem"],
            "tls_key": ["--tls-cert=/c.pem"],
            "tls_client_ca": ["--tls-cert=/c.pem", "--tls-key=/k.pem"],
        }.get(option["name"], [])
        if option["name"] in {"shutdown_timeout", "busy_timeout", "auth_timeout", "push_min_interval"}:
            text, expected = "7", "7.0"
        name = option["name"]
        secret = option["kind"] == "secret"
        if not secret:  # which is not a flag
            assert parsed(print_config(binary, option["flag"] + "=" + text, *extra))[name] == (expected, option["flag"])
        by_variable = parsed(print_config(binary, *extra, **{option["variable"]: text}))
        assert by_variable[name] == (expected, option["variable"])
        file = tmp_path / "one.toml"
        write_secret(file, f'{name} = "{text}"\n' if secret else f"{name} = {expected}\n")
        assert parsed(print_config(binary, "--config", str(file), *extra))[name] == (expected, str(file))


def test_a_list_is_given_as_one_value_or_item_by_item(server_command: list[str]) -> None:
    arguments = ["--allow-host", "a.example,b.example", "--allow-host=c.example", "--port=1", "--port=2"]
    settings = parsed(print_config(server_command, *arguments, SESSION_BUDDY_ALLOW_HOST="d.example"))
    assert settings["allow_host"] == ('"a.example,b.example,c.example"', "--allow-host")
    assert settings["port"] == ("2", "--port")
    emptied = parsed(print_config(server_command, "--allow-host", "", SESSION_BUDDY_ALLOW_HOST="d.example"))
    assert emptied["allow_host"] == ('""', "--allow-host")


def test_the_output_is_a_config_file(server_command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "printed.toml"
    first = print_config(server_command, "--port", "0", "--db-path", str(tmp_path / 'a "b" \\c.db'), "--window", "7d")
    file.write_text(first)
    second = print_config(server_command, "--config", str(file))
    values = {name: value for name, (value, _) in parsed(first).items()}
    assert values["window"] == "604800.0"
    assert {name: value for name, (value, _) in parsed(second).items()} == values
    assert {origin for value, origin in parsed(second).values() if value != '""'} == {str(file)}


def test_the_file_of_the_user_is_found(server_command: list[str], isolated_environment: Path) -> None:
    file = isolated_environment / "config" / "session-buddy" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("port = 4321\n")
    assert parsed(print_config(server_command))["port"] == ("4321", str(file))
    other = file.with_name("other.toml")
    other.write_text("port = 5\n")
    assert parsed(print_config(server_command, SESSION_BUDDY_CONFIG=str(other)))["port"] == ("5", str(other))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "unknown key prot; did you mean port?"),
        ("port = '1'", "port must be an integer from 0 to 65535, not '1'"),
        ("update_interval = 7200", "update_interval must be from 0.01 to 3600 seconds, not 7200"),
        ("anomaly_threshold = '3'", "anomaly_threshold must be a number from 0.5 to 10, not '3'"),
        ("port = ", "line 1"),
        ("[server]", "unknown key server"),
    ],
)
def test_an_error_in_the_file_names_it(server_command: list[str], tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    result = subprocess.run(
        [*server_command, "--config", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith(f"session-buddy-server: error: {file}")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_baseline_must_reach_back_further_than_what_is_observed(server_command: list[str]) -> None:
    result = subprocess.run(
        [*server_command, "--observation-window=10m", "--baseline-window=1199"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "baseline_window must be at least twice observation_window (600 seconds), not 1199" in result.stderr
    settings = parsed(print_config(server_command, "--observation-window=10m", "--baseline-window=20m"))
    assert settings["baseline_window"] == ("1200.0", "--baseline-window")


def test_an_error_in_a_variable_names_it(server_command: list[str]) -> None:
    result = subprocess.run(
        server_command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SESSION_BUDDY_PORT": "x"},
    )
    assert result.returncode == 2
    assert "SESSION_BUDDY_PORT must be an integer" in result.stderr


def test_a_config_file_may_come_through_a_pipe() -> None:
    done = subprocess.run(
        [*entry_points()["binary"], "--config", "/dev/stdin", "--print-config"],
        input="port = 1234\n",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nport = 1234 " in done.stdout
