"""`session-buddy hooks` as a command: where it looks, what it registers, what `status` reports."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sqlite3
import subprocess
import sysconfig
from datetime import datetime, timezone
from pathlib import Path

import pytest

import session_buddy
from session_buddy import _native
from session_buddy.cli import hooks as command
from session_buddy.ingest.claude_settings import ADDED_EVENTS, EVENTS, HOOK_PATH, HOOK_PROGRAM, TOOL_EVENTS
from session_buddy.storage.skills_storage import SkillsStorage
from support.hook_events import post, pre, run_hook
from support.hooks_settings import (
    URL,
    Home,
    as_process,
    entry,
    group,
    make_program,
    ours,
    run,
    wanted,
)
from support.processes import Server
from support.tokens import READER, write_secret

# ---- The command line


def test_user_settings_follow_the_config_folder(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for named, folder in (
        ("", home.folder / ".claude"),
        (f"{tmp_path}/a", tmp_path / "a"),
        (f" , {tmp_path}/b ,{tmp_path}/c", tmp_path / "b"),
        ("d", Path.cwd() / "d"),
    ):
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", named)
        assert run("install") == 0
        assert ours(folder / "settings.json") == wanted(home.program)
    assert not (tmp_path / "c").exists()


def test_without_a_home_the_error_says_what_to_set(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", unknown)
    assert run("install") == 1
    assert "the home directory is unknown; set HOME or CLAUDE_CONFIG_DIR" in capsys.readouterr().err
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home.folder))
    assert run("install") == 0


def test_project_settings_are_those_of_the_folder(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    other = tmp_path / "other"
    other.mkdir()
    assert run("install", "--project") == 0
    assert run("install", "--project", str(other)) == 0
    for folder in (Path.cwd(), other):  # a bare name, because others share the project's settings
        assert ours(folder / ".claude" / "settings.json") == wanted(HOOK_PROGRAM)
    assert not home.path.exists()
    assert f"{HOOK_PROGRAM} is not on the PATH" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(home.program.parent), prepend=os.pathsep)
    assert run("install", "--project") == 0
    assert "PATH" not in capsys.readouterr().err
    assert run("install", "--local") == 0
    assert ours(Path.cwd() / ".claude" / "settings.local.json") == wanted(home.program)
    assert run("uninstall", "--local") == run("uninstall", "--project") == 0
    assert list((Path.cwd() / ".claude").iterdir()) == []
    capsys.readouterr()
    assert run("install", "--project", "--db-path", "x.db") == 1
    assert "but project settings are shared; use --local" in capsys.readouterr().err
    assert run("install", "--project", str(tmp_path / "nowhere")) == 1
    assert f"{tmp_path / 'nowhere'} is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_an_entry_has_the_documented_shape(home: Home) -> None:
    run("install")
    content = json.loads(home.path.read_text())["hooks"]
    assert list(content) == [
        *("PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch"),
        *("UserPromptSubmit", "UserPromptExpansion", "SessionEnd"),
    ]
    for event, (one,) in content.items():
        assert one.get("matcher") == ("*" if event in TOOL_EVENTS else None)
        assert one["hooks"] == [{"type": "command", "command": str(home.program), "timeout": 5}]
    run("install", "--http", URL)
    content = json.loads(home.path.read_text())["hooks"]
    assert content["SessionEnd"] == [{"hooks": [{"type": "http", "url": URL, "timeout": 5}]}]


def test_program_and_database_are_quoted_for_the_shell(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_program(tmp_path / "scripts of $HOME")
    monkeypatch.setattr(command, "scripts_folder", lambda: program.parent)
    assert run("install", "--db-path", 'it\'s "ä".db') == 0
    ((line,), *_) = ours(home.path).values()
    assert shlex.split(line) == [str(program), "--db-path", str(Path.cwd() / 'it\'s "ä".db')]
    echoed = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True).stdout
    assert echoed.splitlines() == shlex.split(line)


def test_the_registered_command_records_its_events(home: Home, db_path: Path) -> None:
    """With the real program: Claude Code runs the line in a shell and writes the event to its standard input."""
    assert as_process("install", "--db-path", str(db_path)).returncode == 0
    assert as_process("status").returncode == 0
    for event in ("PreToolUse", "PostToolUse"):
        line = ours(home.path)[event][0]
        sent = {"hook_event_name": event, "session_id": "s", "tool_name": "Read", "tool_use_id": "t1"}
        event_with_all = json.dumps({**sent, "tool_input": {}, "duration_ms": 5})
        done = subprocess.run(["sh", "-c", line], input=event_with_all.encode(), check=False)
        assert done.returncode == 0
    with contextlib.closing(sqlite3.connect(db_path)) as connection:
        rows = connection.execute("SELECT skill_name, session_id, completed FROM skill_invocation").fetchall()
    assert rows == [("Read", "s", 1)]


def test_a_relative_database_is_found_from_every_folder(home: Home) -> None:
    for named, path in (("a/../b.db", Path.cwd() / "b.db"), ("~/c.db", home.folder / "c.db")):
        assert run("install", "--db-path", named) == 0
        assert ours(home.path) == wanted(f"{home.program} --db-path {path}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "must be a non-empty string"),
        (os.fsdecode(b"\xff.db"), "is not valid UTF-8"),
        ("nosuch/x.db", "nosuch does not exist; create it, or correct the path"),
    ],
)
def test_an_invalid_database_path_is_wrong_usage(
    home: Home, path: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--db-path", path)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_program_in_a_folder_whose_name_is_not_text_is_rejected(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = make_program(tmp_path / os.fsdecode(b"\xff"))
    monkeypatch.setattr(command, "scripts_folder", lambda: program.parent)
    assert run("install") == 1
    assert "is not valid UTF-8, which the settings require; install it in another folder" in capsys.readouterr().err
    assert not home.path.exists()


def test_a_missing_program_is_rejected_with_the_folders_that_were_searched(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    home.program.chmod(0o644) if os.geteuid() else home.program.unlink()
    assert run("install") == 1
    assert f"{HOOK_PROGRAM} is neither in {home.program.parent} nor on the PATH" in capsys.readouterr().err
    assert not home.path.exists()
    assert run("install", "--http", URL) == 0
    elsewhere = make_program(tmp_path / "bin")
    assert run("install") == 0
    assert ours(home.path) == wanted(elsewhere)


def test_programs_are_searched_where_pip_installed_this_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (command.scripts_folder() / "session-buddy-server").is_file()
    monkeypatch.setattr(session_buddy, "__file__", str(tmp_path / "target" / "session_buddy" / "__init__.py"))
    assert command.scripts_folder() == tmp_path / "target" / "bin"  # pip install --target
    user = sysconfig.get_preferred_scheme("user")
    library = Path(sysconfig.get_path("purelib", user, {"userbase": str(tmp_path / "base")}))
    monkeypatch.setattr(
        sysconfig,
        "get_paths",
        lambda scheme, original=sysconfig.get_paths: original(scheme, vars={"userbase": str(tmp_path / "base")}),
    )
    monkeypatch.setattr(session_buddy, "__file__", str(library / "session_buddy" / "__init__.py"))
    assert command.scripts_folder() == tmp_path / "base" / "bin"


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, URL),
        ({"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000/hooks/claude-code"),
        ({"HOST": "::"}, "http://[::1]:8765/hooks/claude-code"),
        ({"HOST": "192.0.2.7"}, "http://192.0.2.7:8765/hooks/claude-code"),
        ({"TLS_CERT": "/c.pem", "TLS_KEY": "/k.pem"}, "https://127.0.0.1:8765/hooks/claude-code"),
    ],
)
def test_the_default_url_is_that_of_the_servers_settings(
    home: Home, variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SESSION_BUDDY_{name}", value)
    assert run("install", "--http", "--project") == 0
    assert ours(Path.cwd() / ".claude" / "settings.json") == wanted(url)


@pytest.mark.parametrize(
    ("value", "message"), [("0", "have no fixed port (0); pass the URL"), ("many", "SESSION_BUDDY_PORT")]
)
def test_settings_of_the_server_without_a_port_are_rejected(
    home: Home, value: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_PORT", value)
    assert run("install", "--http") == 1
    assert message in capsys.readouterr().err
    assert not home.path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8765/hooks/claude-code",
        "ws://localhost:8765/hooks/claude-code",
        "http:///hooks/claude-code",
        "http://localhost:8765/",
        "http://localhost:8765/?/hooks/claude-code",
        "http://localhost:99999/hooks/claude-code",
        "http://local host/hooks/claude-code",
        "http://[::1/hooks/claude-code",
        "http://user:word@localhost/hooks/claude-code",
        "",
    ],
)
def test_an_invalid_url_is_wrong_usage(home: Home, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--http", url)
    assert ended.value.code == 2
    assert "error: argument --http: " in capsys.readouterr().err


def test_a_database_for_an_http_hook_is_rejected(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--http", URL, "--db-path", "x.db")
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


# ---- Status


def test_status_without_hooks(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--project") == 1
    project = Path.cwd() / ".claude" / "settings.json"
    assert capsys.readouterr().out.splitlines() == [
        f"User settings: {home.path}",
        "  not installed: no such file",
        f"Project settings: {project}",
        "  not installed: no such file",
        f"Local settings of the project: {project.with_name('settings.local.json')}",
        "  not installed: no such file",
    ]
    home.write("{}")
    assert run("status") == 1
    assert "  not installed\n" in capsys.readouterr().out


def test_status_shows_command_events_and_program(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("install")
    capsys.readouterr()
    assert run("status", "--project", str(home.folder)) == 0  # both paths name one file
    assert capsys.readouterr().out.splitlines() == [
        f"User settings: {home.path}",
        f"  command: {home.program}",
        f"    events: {', '.join(EVENTS)}",
        "    program: exists, of this installation",
        f"    database: {_native.resolve_db_path(None)}",
        "    last event: none so far",
        "  installed",
        f"Local settings of the project: {home.path.with_name('settings.local.json')}",
        "  not installed: no such file",
    ]
    other = make_program(tmp_path / "other")
    home.path.write_text(home.path.read_text().replace(str(home.program), str(other)))
    assert run("status") == 0
    assert "    program: exists, of another installation\n" in capsys.readouterr().out
    other.unlink()
    assert run("status") == 1
    output = capsys.readouterr().out
    assert "    program: missing or not executable; install again\n" in output
    assert f"  partly installed: no working hook for {', '.join(EVENTS)}; install again\n" in output


def test_status_shows_when_the_last_event_came(home: Home, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--db-path", str(db_path))
    with SkillsStorage(db_path) as storage:  # not by a hook
        storage.store_invocation("mypy", session_id="s", completed=True)
    run("status")
    assert "    last event: none so far\n" in capsys.readouterr().out
    before = datetime.now(timezone.utc).replace(microsecond=0)
    for event in (pre("t1", "Read"), post("t1", "Read"), pre("t2", "Read")):
        assert run_hook(event, db_path).returncode == 0
        run("status")
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "last event" in line]
        last_event = datetime.fromisoformat(line.removeprefix("    last event: ").replace("Z", "+00:00"))
        assert before <= last_event <= datetime.now(timezone.utc)


def test_status_warns_of_an_http_hook_without_its_server(
    home: Home, db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(db_path) as server:
        url = f"http://127.0.0.1:{server.port}{HOOK_PATH}"
        assert run("install", "--http", url) == 0
        (note,) = capsys.readouterr().err.splitlines()  # and no warning
        assert "ECONNREFUSED" in note
        assert run("status") == 0
        lines = f"    server: answers\n    database: {db_path}\n    last event: none so far\n  installed\n"
        assert lines in capsys.readouterr().out
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n")
    with Server(db_path, "--auth-token-file", str(tokens), port=server.port):
        assert run("install", "--http", url) == 0
        assert "requires a token and rejects events without one" in capsys.readouterr().err
    assert run("install", "--http", url) == 0
    warning = capsys.readouterr().err
    assert f"no server at http://127.0.0.1:{server.port}" in warning
    assert 'Claude Code shows "PreToolUse:Bash hook failed ... ECONNREFUSED" at every tool use' in warning
    assert run("status") == 1
    output = capsys.readouterr().out
    assert "    server: no server at " in output
    assert "  installed, but events do not arrive: the server does not accept them\n" in output


def test_status_shows_urls_and_what_is_missing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--project", "--http", URL)
    capsys.readouterr()
    run("status")
    output = capsys.readouterr().out
    assert f"  http: {URL}\n    events: {', '.join(EVENTS)}\n    server: " in output
    home.write(
        f'{{"hooks": {{"PreToolUse": [{group(entry(URL), matcher="Bash")}], "SessionEnd": [{group(entry(URL))}]}}}}'
    )
    run("uninstall", "--project")
    capsys.readouterr()
    assert run("status") == 1
    output = capsys.readouterr().out
    assert "    events: PreToolUse (some only), SessionEnd\n" in output
    missing = ", ".join(event for event in EVENTS if event != "SessionEnd")
    assert f"no working hook for {missing}; install again\n" in output


def test_hooks_of_an_earlier_version_get_a_hint_and_a_new_install_completes_them(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    run("install")
    content = json.loads(home.path.read_text())
    for event in ADDED_EVENTS:
        del content["hooks"][event]
    home.path.write_text(json.dumps(content))
    capsys.readouterr()
    assert run("status") == 1
    assert f"  installed by an earlier version, without {', '.join(ADDED_EVENTS)}: " in capsys.readouterr().out
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    assert run("status") == 0
    assert run("uninstall") == 0
    assert not home.path.exists() or not ours(home.path)


def test_installing_http_hooks_says_first_what_happens_without_a_server(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("install", "--http", URL, "--dry-run") == 0
    assert "ECONNREFUSED" in capsys.readouterr().err
    assert not home.path.exists()
    assert run("install", "--dry-run") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("user", "project", "status"),
    [(None, None, 0), (True, None, 1), (None, True, 1), (True, False, 0), (False, True, 1)],
)
def test_status_and_install_report_disabled_hooks(
    home: Home, user: bool | None, project: bool | None, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = Path.cwd() / ".claude" / "settings.json"
    theirs.parent.mkdir()
    for path, value in ((home.path, user), (theirs, project)):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}" if value is None else json.dumps({"disableAllHooks": value}))
    assert run("install") == 0
    warning = f"disableAllHooks is true in {home.path}, so Claude Code runs no hooks"
    assert (warning in capsys.readouterr().err) == bool(user)
    assert run("status") == status
    assert capsys.readouterr().out.count("disableAllHooks is true") == [user, project].count(True)


def test_no_action_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert "required: ACTION" in capsys.readouterr().err
