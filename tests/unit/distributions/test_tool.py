"""Tools: how a program that is run for a build may end, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.clock import NS_PER_S
from harness.distributions.tool import STOP, Tool, ToolFailure

SHELL = "/bin/sh"


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(directory=tmp_path, log=tmp_path / "log")


def gone(pid: int) -> bool:
    """Wait until a process has ended (a zombie counts: whoever inherits it reaps it when it likes)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_output_is_returned_and_logged(tool: Tool) -> None:
    assert tool.run([SHELL, "-c", "echo one; echo two >&2"], deadline_ns=20 * NS_PER_S) == "one\ntwo\n"
    assert tool.run([SHELL, "-c", "echo three"], deadline_ns=20 * NS_PER_S) == "three\n"
    assert (
        tool.log.read_text(encoding="utf-8")
        == "$ /bin/sh -c 'echo one; echo two >&2'\none\ntwo\n$ /bin/sh -c 'echo three'\nthree\n"
    )


def test_environment_is_the_whole_environment(tool: Tool) -> None:
    assert tool.run([SHELL, "-c", "echo $A$HOME"], deadline_ns=20 * NS_PER_S, env={"A": "a"}) == "a\n"


def test_status_and_last_lines_are_told(tool: Tool) -> None:
    with pytest.raises(ToolFailure) as caught:
        tool.run([SHELL, "-c", "seq 20; exit 3"], deadline_ns=20 * NS_PER_S)
    assert caught.value.reason == "ended with status 3"
    assert caught.value.tail(2) == "  | 19\n  | 20"


def test_a_signal_is_named(tool: Tool) -> None:
    with pytest.raises(ToolFailure, match="was killed by SIGKILL"):
        tool.run([SHELL, "-c", "kill -9 $$"], deadline_ns=20 * NS_PER_S)


def test_a_program_that_does_not_exist_fails(tool: Tool) -> None:
    with pytest.raises(ToolFailure):
        tool.run(["/nowhere/go"], deadline_ns=20 * NS_PER_S)


def test_a_deadline_ends_the_whole_group_even_if_it_ignores_being_asked(tool: Tool, tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/leader; wait; sleep 600"
    with pytest.raises(ToolFailure, match="did not finish within 500ms"):
        tool.run([SHELL, "-c", script], deadline_ns=NS_PER_S // 2)
    for name in ("child", "leader"):
        assert gone(int((tmp_path / name).read_text(encoding="ascii")))


def test_ctrl_c_ends_the_whole_group(tool: Tool, tmp_path: Path) -> None:
    started = tmp_path / "child"

    def interrupt() -> None:
        while not (started.exists() and started.read_text(encoding="ascii").endswith("\n")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        tool.run([SHELL, "-c", f"sleep 600 & echo $! > {started}; wait"], deadline_ns=60 * NS_PER_S)
    thread.join()
    assert gone(int(started.read_text(encoding="ascii")))


def test_ticks_tell_the_time_since_the_start(tool: Tool) -> None:
    ticks: list[int] = []
    tool.run([SHELL, "-c", "sleep 1.5"], deadline_ns=60 * NS_PER_S, tick=ticks.append)
    assert ticks
    assert ticks == sorted(ticks)
    assert ticks[0] >= NS_PER_S


# --- servers ------------------------------------------------------------------------------------------------------


def test_a_server_is_asked_to_end_once_it_is_ready(tool: Tool, tmp_path: Path) -> None:
    up = tmp_path / "up"
    script = f"trap 'echo asked; exit 143' TERM; echo up; touch {up}; while :; do sleep 0.02; done"
    said = tool.serve([SHELL, "-c", script], ready=up.exists, deadline_ns=30 * NS_PER_S, stop_ns=30 * NS_PER_S)
    assert said == "up\nasked\n"


@pytest.mark.parametrize(
    ("script", "ready", "said"),
    [
        ("echo no; exit 3", False, "ended with status 3 before it was ready"),
        ("exit 0", False, "ended before it was ready"),
        ("sleep 600", False, "was not ready within 300ms"),
        ("trap '' TERM; touch up; while :; do sleep 0.02; done", True, "did not end within 300ms"),
        ("trap 'exit 5' TERM; touch up; while :; do sleep 0.02; done", True, "ended with status 5"),
    ],
)
def test_a_server_that_misbehaves_is_told_and_ended(
    tool: Tool, tmp_path: Path, script: str, ready: bool, said: str
) -> None:
    up = tmp_path / "up"
    soon = NS_PER_S * 3 // 10
    deadline_ns = 30 * NS_PER_S if ready or "exit" in script else soon
    argv = [SHELL, "-c", f"echo $$ > pid; {script}"]
    with pytest.raises(ToolFailure, match=said):
        tool.serve(argv, ready=up.exists, deadline_ns=deadline_ns, stop_ns=soon if "within" in said else 30 * NS_PER_S)
    assert gone(int((tmp_path / "pid").read_text(encoding="ascii")))


@pytest.mark.parametrize("serving", [False, True])
def test_a_thread_is_told_to_stop_as_ctrl_c_tells_the_main_thread(tool: Tool, tmp_path: Path, serving: bool) -> None:
    stop = threading.Event()
    ended: list[BaseException] = []
    argv = [SHELL, "-c", "echo $$ > pid; exec sleep 600"]

    def work() -> None:
        STOP.set(stop)
        try:
            if serving:
                tool.serve(argv, ready=lambda: False, deadline_ns=60 * NS_PER_S, stop_ns=NS_PER_S)
            else:
                tool.run(argv, deadline_ns=60 * NS_PER_S)
        except KeyboardInterrupt as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text(encoding="ascii").endswith("\n")):
        time.sleep(0.01)
    stop.set()
    thread.join(timeout=20)
    assert len(ended) == 1
    assert gone(int(pid.read_text(encoding="ascii")))


def test_nothing_of_a_build_outlives_a_harness_that_is_killed(tmp_path: Path) -> None:
    """A tool's own children neither: a compiler would go on for minutes, writing where the next one writes."""
    script = f"sleep 600 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/leader; wait"
    program = f"""
from pathlib import Path
from harness.distributions.tool import Tool
Tool(directory=Path({str(tmp_path)!r}), log=Path({str(tmp_path / "log")!r})).run(
    ["/bin/sh", "-c", {script!r}], deadline_ns=600 * 10**9
)
"""
    started = tmp_path / "leader"
    harness = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 120
        while not (started.exists() and started.read_text(encoding="ascii").endswith("\n")):
            assert harness.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        harness.kill()
        harness.wait()
    for name in ("child", "leader"):
        assert gone(int((tmp_path / name).read_text(encoding="ascii")))
