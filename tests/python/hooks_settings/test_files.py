"""Links, permissions, concurrent writers and crashes: nothing is lost."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from session_buddy.ingest.claude_settings import (
    SettingsError,
    SettingsFile,
)
from support.environment import bound_by_permissions
from support.hooks_settings import PERMISSIONS, URL, Home, as_process, ours, run, wanted


def test_a_link_stays_and_its_target_is_replaced(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "claude.json"
    target.parent.mkdir()
    target.write_text(PERMISSIONS)
    home.path.parent.mkdir()
    home.path.symlink_to(os.path.relpath(target, home.path.parent))
    assert run("install") == 0
    assert home.path.is_symlink()
    assert not target.is_symlink()
    assert ours(target) == wanted(home.program)
    (backup,) = target.parent.glob("claude.json.session-buddy-*.bak")
    assert backup.read_text() == PERMISSIONS
    assert run("uninstall") == 0
    assert target.read_text() == PERMISSIONS


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(home: Home, tmp_path: Path) -> None:
    home.path.parent.mkdir()
    home.path.symlink_to(tmp_path / "new.json")
    assert run("install") == 0
    assert home.path.is_symlink()
    assert ours(tmp_path / "new.json") == wanted(home.program)


def test_a_link_into_a_folder_that_is_not_there_is_rejected(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.path.parent.mkdir()
    home.path.symlink_to(tmp_path / "unmounted" / "settings.json")
    assert run("install") == 1
    assert "whose folder does not exist" in capsys.readouterr().err
    assert not (tmp_path / "unmounted").exists()


def test_the_newest_three_backups_are_kept(home: Home) -> None:
    home.write(PERMISSIONS)
    own = home.path.with_name("settings.json.mine.bak")
    own.write_text("mine")
    states = []
    for command in (["install"], ["uninstall"]) * 4:
        states.append(home.path.read_bytes())
        assert run(*command) == 0
    assert sorted(backup.read_bytes() for backup in home.backups()) == sorted(states[-3:])
    assert own.read_text() == "mine"
    assert len(home.files()) == 1 + 1 + 3


def test_a_file_that_was_there_before_is_not_removed(home: Home) -> None:
    home.write("{}")
    assert run("install") == run("uninstall") == 0
    assert home.path.read_text() == "{}"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_and_owner_are_kept_by_file_and_backup(home: Home, mode: int) -> None:
    home.write(PERMISSIONS)
    home.path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(home.path, 12345, 23456)
    before = home.path.stat()
    assert run("install") == 0
    for path in (home.path, *home.backups()):
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert len(home.backups()) == 1
    assert home.path.stat().st_mtime_ns > before.st_mtime_ns  # programs that watch it see the change


def test_a_new_file_has_the_mode_that_the_user_wants(home: Home) -> None:
    mask = os.umask(0o027)
    try:
        assert run("install") == 0
    finally:
        os.umask(mask)
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o640


def test_extended_attributes_are_kept(home: Home) -> None:
    home.write(PERMISSIONS)
    try:
        os.setxattr(home.path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert run("install") == 0
    assert os.getxattr(home.path, "user.note") == b"mine"


@pytest.mark.parametrize("target", ["file", "folder"])
def test_what_is_write_protected_is_rejected(home: Home, target: str) -> None:
    home.write(PERMISSIONS)
    protected = home.path if target == "file" else home.path.parent
    protected.chmod(0o444 if target == "file" else 0o555)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert f"{protected} is read-only; make" in done.stderr
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


def test_what_may_not_be_read_is_rejected(home: Home) -> None:
    home.write(PERMISSIONS)
    home.path.chmod(0)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert "cannot be read: Permission denied; check the permissions" in done.stderr


def test_a_home_that_is_write_protected_is_rejected(home: Home) -> None:
    home.folder.chmod(0o555)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert f"{home.path} cannot be changed: Permission denied" in done.stderr


def change_content(home: Home) -> None:
    home.path.write_text("{}")


def change_by_replacing(home: Home) -> None:
    (home.folder / "new").write_text(PERMISSIONS + " ")
    (home.folder / "new").replace(home.path)


def remove(home: Home) -> None:
    home.path.unlink()


def make_a_link(home: Home) -> None:
    home.path.rename(home.folder / "moved")
    home.path.symlink_to(home.folder / "moved")


@pytest.mark.parametrize("change", [change_content, change_by_replacing, remove, make_a_link])
def test_a_change_by_another_program_is_not_overwritten(home: Home, change: Callable[[Home], None]) -> None:
    home.write(PERMISSIONS)
    file = SettingsFile(home.path)
    change(home)
    there = home.path.read_bytes() if home.path.exists() else None
    with pytest.raises(SettingsError, match="was changed by another program; try again"):
        file.replace("{}")
    assert (home.path.read_bytes() if home.path.exists() else None) == there
    assert home.files() <= {"settings.json"}


@pytest.mark.parametrize("change", [change_content, change_by_replacing, remove, make_a_link])
def test_a_change_while_the_new_file_is_written_is_not_overwritten(
    home: Home, change: Callable[[Home], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write(PERMISSIONS)
    file = SettingsFile(home.path)
    sync, seen = os.fsync, []

    def change_at_the_backup(descriptor: int) -> None:
        sync(descriptor)
        seen.append(descriptor)
        if len(seen) == 2:
            change(home)

    monkeypatch.setattr(os, "fsync", change_at_the_backup)
    with pytest.raises(SettingsError, match="was changed by another program; try again"):
        file.replace('{"new": 1}')
    assert home.files() <= {"settings.json"}
    assert not home.path.exists() or "new" not in home.path.read_text()


def test_a_file_that_came_into_being_meanwhile_is_not_overwritten(home: Home) -> None:
    file = SettingsFile(home.path)
    home.write(PERMISSIONS)
    with pytest.raises(SettingsError, match="was changed by another program"):
        file.replace("{}")
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


# Installs, and ends at the count-th call of a function: with an error, or abruptly as in a power loss.
ENDING = f"""
import errno, os, pathlib, signal, sys
from session_buddy.cli import main

where, name, left, failure = sys.argv[1:]
left = int(left)
owner = {{"os": os, "Path": pathlib.Path}}[where]
original = getattr(owner, name)

def ending(*arguments, **keywords):
    global left
    if name != "open" or arguments[1] & os.O_CREAT:
        left -= 1
        if left == 0 and failure == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return original(*arguments, **keywords)

setattr(owner, name, ending)
sys.exit(main.main(["hooks", "install", "--http", "{URL}"]))
"""


def install_with_end(where: str, name: str, count: int, failure: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENDING, where, name, str(count), failure],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BEFORE_THE_CHANGE = {
    "new file made": ("os", "open", 1),
    "new file written": ("os", "fsync", 1),
    "backup made": ("os", "open", 2),
    "backup written": ("os", "fsync", 2),
    "rename": ("Path", "replace", 1),
}


@pytest.mark.parametrize("step", BEFORE_THE_CHANGE)
def test_a_step_that_fails_leaves_all_as_it_was(home: Home, step: str) -> None:
    home.write(PERMISSIONS)
    done = install_with_end(*BEFORE_THE_CHANGE[step], "failed")
    assert done.returncode == 1
    assert f"{home.path} cannot be changed: No space left on device; free disk space" in done.stderr
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


@pytest.mark.parametrize("step", BEFORE_THE_CHANGE)
def test_a_sudden_end_before_the_change_loses_nothing_and_the_next_run_works(home: Home, step: str) -> None:
    home.write(PERMISSIONS)
    done = install_with_end(*BEFORE_THE_CHANGE[step], "killed")
    assert done.returncode == -signal.SIGKILL
    assert home.path.read_text() == PERMISSIONS
    if step == "rename":
        assert [backup.read_text() for backup in home.backups()] == [PERMISSIONS]
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    assert PERMISSIONS in [backup.read_text() for backup in home.backups()]


def test_an_end_after_the_rename_leaves_the_new_settings_and_the_backup(home: Home) -> None:
    for failure, status in (("killed", -signal.SIGKILL), ("failed", 0)):
        home.write(PERMISSIONS)
        assert install_with_end("os", "fsync", 3, failure).returncode == status
        assert ours(home.path) == wanted(URL)
        assert {backup.read_text() for backup in home.backups()} == {PERMISSIONS}
