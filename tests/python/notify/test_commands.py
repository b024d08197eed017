"""`session-buddy notify --command`: environment, input, failures and timeouts of the command."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from session_buddy.notify.state import StateFile
from support.notifier import notifier, script
from support.processes import DEADLINE, Server, wait_until
from support.streams import behave, make_database


def test_a_command_gets_values_in_its_environment_and_json_on_its_input(
    db_path: Path, state: Path, tmp_path: Path
) -> None:
    hostile = 'a; touch pwned "$(touch pwned)" \u202e[red]'
    make_database(db_path)
    behave(db_path, failing=[hostile])
    program = script(tmp_path, "env > environment.new; cat > input; mv environment.new environment; echo some output")
    env = {"SESSION_BUDDY_TOKEN": "not-for-it", "SESSION_BUDDY_WEBHOOK_AUTHORIZATION": "not-for-it"}
    with Server(db_path) as server, notifier(server.url, state, "--command", program, env=env) as notify:
        notify.wait_for("^some output$")
        wait_until(lambda: not StateFile(state).read().deliveries, "the event is delivered")
    event = json.loads((tmp_path / "input").read_bytes())
    assert event["skill"] == hostile
    environment = (tmp_path / "environment").read_text(encoding="utf-8").splitlines()
    assert "not-for-it" not in "\n".join(environment)
    for name, value in event.items():
        variable = "SESSION_BUDDY_EVENT_ID" if name == "id" else f"SESSION_BUDDY_{name.upper()}"
        assert f"{variable}={value}" in environment
    assert not (tmp_path / "pwned").exists()


def test_a_command_has_arguments_but_no_shell(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, 'printf "%s|" "$@" > arguments.new; mv arguments.new arguments')
    with notifier(served.url, state, "--command", f"{program} 'two words' $HOME `id` >x"):
        wait_until((tmp_path / "arguments").exists, "the command has run")
    assert (tmp_path / "arguments").read_text() == "two words|$HOME|`id`|>x|"


def test_a_failed_command_is_retried(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, 'echo x >> runs; test "$(wc -l < runs)" -ge 3')
    with notifier(served.url, state, "--command", program) as notify:
        notify.wait_for("command .*program: exit status 1; retry in")
        wait_until(lambda: state.exists() and not StateFile(state).read().deliveries, "the event is delivered")
    assert (tmp_path / "runs").read_text() == "x\nx\nx\n"


def test_a_command_that_times_out_is_killed_with_its_children(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "sleep 600 & echo $! > child.new; mv child.new child; wait")
    with notifier(served.url, state, "--command", program, "--timeout", "0.5") as notify:
        notify.wait_for("timed out after 0.5 seconds; retry in")
        child = int((tmp_path / "child").read_text())
        wait_until(lambda: not is_running(child), "the child has ended")


def test_a_running_command_ends_with_the_notifier_and_is_retried(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "echo $$ > running.new; mv running.new running; exec sleep 600")
    with notifier(served.url, state, "--command", program) as notify:
        wait_until((tmp_path / "running").exists, "the command runs")
        assert notify.stop(signal.SIGTERM) == 0
        wait_until(lambda: not is_running(int((tmp_path / "running").read_text())), "the command has ended")
    assert len(StateFile(state).read().deliveries) == 1


def is_running(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_shutdown_waits_for_a_delivery_in_flight(served: Server, state: Path, tmp_path: Path) -> None:
    program = script(tmp_path, "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo x >> received")
    with notifier(served.url, state, "--command", program) as notify:
        wait_until((tmp_path / "begun").exists, "the command runs")
        notify.process.send_signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        assert notify.process.wait(DEADLINE) == 0
    assert (tmp_path / "received").read_text() == "x\n"
    assert StateFile(state).read().deliveries == ()
