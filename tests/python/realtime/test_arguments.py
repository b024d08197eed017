"""Wrong arguments are rejected immediately, by name; valid ones reach the server."""

from __future__ import annotations

import inspect
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from session_buddy import _native
from session_buddy.realtime.websocket_server import RealTimeMetricsServer


def parameters() -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(RealTimeMetricsServer.__init__).parameters)


def test_every_setting_is_a_keyword_with_the_default_of_the_table() -> None:
    described = {option["name"]: option for option in _native.options() if not option["cli_only"]}
    known = parameters()
    assert set(known) == {"self", "max_pending_snapshots", *described}
    for name, option in described.items():
        if option["security_critical"]:  # where an empty string is an error, None stands for "not set"
            assert known[name].default is None, name
        elif name != "db_path":
            assert known[name].default == option["default"], name
            assert type(known[name].default) is type(option["default"]), name


def test_the_documented_signature_comes_first() -> None:
    names = [name for name, parameter in parameters().items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert names == ["self", "host", "port", "db_path", "update_interval"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"port": "8765"}, TypeError, "port must be an int, not str"),
        ({"port": True}, TypeError, "port must be an int, not bool"),
        ({"port": 80.0}, TypeError, "port must be an int, not float"),
        ({"port": None}, TypeError, "port must be an int, not NoneType"),
        ({"port": -1}, ValueError, "port must be an integer from 0 to 65535, not -1"),
        ({"port": 65536}, ValueError, "port must be an integer from 0 to 65535, not 65536"),
        ({"port": 10**30}, ValueError, "port must be an integer from 0 to 65535"),
        ({"host": 1}, TypeError, "host must be a str, not int"),
        ({"host": ""}, ValueError, "host must be a non-empty string"),
        ({"host": "a\x00b"}, ValueError, "host must not contain control characters"),
        ({"host": "\ud800"}, ValueError, "host must be valid UTF-8"),
        ({"db_path": 1}, TypeError, "db_path must be a str, not int"),
        ({"db_path": b"x.db"}, TypeError, "db_path must be a str, not bytes"),
        ({"db_path": ""}, ValueError, "db_path must be a non-empty string"),
        ({"db_path": ":memory:"}, ValueError, "db_path must be the path of a file"),
        ({"update_interval": "1"}, TypeError, "update_interval must be a number of seconds, not str"),
        ({"update_interval": True}, TypeError, "update_interval must be a number of seconds, not bool"),
        ({"update_interval": 1j}, TypeError, "update_interval must be a number of seconds, not complex"),
        ({"update_interval": 0}, ValueError, "update_interval must be from 0.01 to 3600 seconds, not 0"),
        ({"update_interval": float("nan")}, ValueError, "update_interval must be from 0.01 to 3600 seconds, not nan"),
        ({"update_interval": float("inf")}, ValueError, "update_interval must be from 0.01 to 3600 seconds, not inf"),
        ({"window": 59}, ValueError, "window must be from 60 to 2678400 seconds"),
        ({"compression": "on"}, TypeError, "compression must be a bool, not str"),
        ({"push": 1}, TypeError, "push must be a bool, not int"),
        ({"push_min_interval": 0}, ValueError, "push_min_interval must be from 0.01 to 60 seconds, not 0"),
        ({"replace_triggers": 1}, TypeError, "replace_triggers must be a bool, not int"),
        ({"retention": -1}, ValueError, "retention must be from 0 to 3153600000 seconds, not -1"),
        ({"retention": 3600}, ValueError, "retention must be at least 176400 seconds"),
        ({"ping_timeout": 20.0}, ValueError, "ping_timeout must be more than ping_interval"),
        ({"anomaly_threshold": "2"}, TypeError, "anomaly_threshold must be a number, not str"),
        ({"anomaly_threshold": True}, TypeError, "anomaly_threshold must be a number, not bool"),
        ({"anomaly_threshold": 1j}, TypeError, "anomaly_threshold must be a number, not complex"),
        ({"anomaly_threshold": 0.49}, ValueError, "anomaly_threshold must be a number from 0.5 to 10, not 0.49"),
        ({"anomaly_threshold": 11}, ValueError, "anomaly_threshold must be a number from 0.5 to 10, not 11"),
        ({"anomaly_threshold": float("nan")}, ValueError, "anomaly_threshold must be a number from 0.5 to 10, not nan"),
        ({"anomaly_min_samples": 1}, ValueError, "anomaly_min_samples must be an integer from 2 to 50, not 1"),
        ({"anomaly_min_samples": 5.0}, TypeError, "anomaly_min_samples must be an int, not float"),
        ({"observation_window": 59}, ValueError, "observation_window must be from 60 to 86400 seconds, not 59"),
        ({"baseline_window": 7199}, ValueError, "baseline_window must be at least twice observation_window"),
        ({"observation_window": 43201}, ValueError, "baseline_window must be at least twice observation_window"),
        ({"max_pending_snapshots": 0}, ValueError, "max_pending_snapshots must be from 1 to 10000, not 0"),
        ({"max_pending_snapshots": 1.0}, TypeError, "max_pending_snapshots must be an int, not float"),
        ({"no_such_setting": 1}, TypeError, "no_such_setting"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        RealTimeMetricsServer(**{"db_path": "x.db", **arguments})
    assert message in str(caught.value)


def test_numbers_of_other_types_are_accepted(db_path: Path) -> None:
    server = RealTimeMetricsServer(db_path=db_path, update_interval=Fraction(1, 2), ping_timeout=60)
    assert server.settings["update_interval"] == 0.5
    assert server.settings["ping_timeout"] == 60.0


def test_anomaly_settings_are_applied(db_path: Path) -> None:
    server = RealTimeMetricsServer(
        db_path=db_path, anomaly_threshold=3, observation_window=600, baseline_window=1200, anomaly_min_samples=8
    )
    assert server.settings["anomaly_threshold"] == 3.0
    assert isinstance(server.settings["anomaly_threshold"], float)
    assert server.settings["observation_window"] == 600.0
    assert server.settings["baseline_window"] == 1200.0
    assert server.settings["anomaly_min_samples"] == 8
    assert RealTimeMetricsServer(db_path=db_path, anomaly_threshold=Fraction(5, 2)).settings["anomaly_threshold"] == 2.5


def test_the_database_comes_from_argument_variable_file_and_default(
    isolated_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RealTimeMetricsServer().db_path == str(isolated_environment / "data" / "session-buddy" / "skills.db")
    local = tmp_path / ".session-buddy" / "skills.db"
    local.parent.mkdir()
    local.touch()
    assert RealTimeMetricsServer().db_path == str(local)
    config = isolated_environment / "config" / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('db_path = "/from/file.db"\n')
    assert RealTimeMetricsServer().db_path == "/from/file.db"
    monkeypatch.setenv("SESSION_BUDDY_DB_PATH", "/from/variable.db")
    assert RealTimeMetricsServer().db_path == "/from/variable.db"
    assert RealTimeMetricsServer(db_path=tmp_path / "a.db").db_path == str(tmp_path / "a.db")
    assert RealTimeMetricsServer(db_path="a.db").db_path == str(tmp_path / "a.db")


def test_only_the_database_comes_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_BUDDY_PORT", "1")
    assert RealTimeMetricsServer(db_path="x.db").port == 8765


def test_an_error_in_the_config_file_is_clear(isolated_environment: Path) -> None:
    config = isolated_environment / "config" / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("dbpath = 'x'\n")
    with pytest.raises(ValueError, match=r"config\.toml: unknown key dbpath; did you mean db_path\?"):
        RealTimeMetricsServer()
