"""Tools: runs one external program (go, pip, java) with a deadline, a log and a process group that never outlives us.

Owns the child's life: its group is ended on a deadline, on Ctrl-C, on any other exception, when ``STOP`` is set, and by
the kernel when this process is killed. Knows nothing of what the program is for.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.environment import inherited
from harness.units import format_ns

_GRACE_S = 2.0
_TICK_S = 1.0
_POLL_S = 0.01
_ASKED_TO_END = (-signal.SIGTERM, 128 + signal.SIGTERM)  # Java ends with the latter after its shutdown hooks

# PR_SET_PDEATHSIG (1): a signal at the death of the thread that started the tool; the check of the parent closes the
# gap between the fork and prctl. It is not inherited by what a tool itself starts (a compiler), so a process stays
# before the tool that then kills their whole group. It ends as the tool does.
_TIE = """
import ctypes, os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: os.killpg(0, signal.SIGKILL))
ctypes.CDLL(None).prctl(1, signal.SIGHUP)
os.getppid() == int(sys.argv[1]) or os._exit(1)
tool = []
signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGTERM) for pid in tool])
gate, opened = os.pipe()
pid = os.fork()
if pid == 0:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.close(opened)
    os.read(gate, 1)
    os.close(gate)
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        os.write(2, f"{sys.argv[2]}: {error.strerror}\\n".encode())
        os._exit(127)
tool.append(pid)
os.close(gate)
os.close(opened)
_, status = os.waitpid(pid, 0)
tool.clear()
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
    os.kill(os.getpid(), os.WTERMSIG(status))
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""


STOP: ContextVar[threading.Event | None] = ContextVar("STOP", default=None)
"""Of a thread that runs tools: once it is set they are ended, as Ctrl-C does it in the main thread."""


def check_stop() -> None:
    """Raise KeyboardInterrupt when ``STOP`` is set."""
    stop = STOP.get()
    if stop is not None and stop.is_set():
        raise KeyboardInterrupt


class ToolFailure(Exception):  # noqa: N818 - never leaves this room: it becomes a DownloadError there
    """A tool ended badly, did not end in time, or could not be started.

    Attributes:
        command: As it could be typed.
        reason: How it ended (``ended with status 1``).
        output: Everything it printed, standard output and error as they came.
    """

    def __init__(self, command: str, reason: str, output: str) -> None:
        super().__init__(f"{command} {reason}")
        self.command = command
        self.reason = reason
        self.output = output

    def tail(self, lines_max: int = 8) -> str:
        """Return the last lines of the output, indented for a message; empty when it printed nothing."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return "\n".join(f"  | {line}" for line in lines[-lines_max:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """How tools are run for one piece of work.

    Attributes:
        directory: Working directory of every tool; one without a ``go.mod`` above it.
        log: File that every command and its output is appended to.
    """

    directory: Path
    log: Path

    def run(
        self,
        argv: Sequence[str],
        *,
        deadline_ns: int,
        env: Mapping[str, str] | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> str:
        """Run a program to its end.

        Args:
            argv: The program as an absolute path, and its arguments.
            deadline_ns: How long it may take.
            env: Its whole environment; None = what a tool inherits (``harness.environment``).
            tick: Called about once a second with the nanoseconds since the start.

        Returns:
            Everything it printed, standard output and error as they came.

        Raises:
            ToolFailure: It ended with another status than 0, was killed, took too long or could not be started.
        """
        return self._carry_out(argv, env, lambda process: _run(process, deadline_ns, tick))

    def serve(
        self,
        argv: Sequence[str],
        *,
        ready: Callable[[], bool],
        deadline_ns: int,
        stop_ns: int,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a server until it is ready, then ask it to end (SIGTERM) and wait until it has.

        Args:
            argv: The program as an absolute path, and its arguments.
            ready: Asked every few milliseconds.
            deadline_ns: How long it may take to become ready.
            stop_ns: How long it may take to end.
            env: Its whole environment; None = what a tool inherits.

        Returns:
            Everything it printed.

        Raises:
            ToolFailure: It ended by itself, did not become ready or did not end in time.
        """
        return self._carry_out(argv, env, lambda process: _serve(process, ready, deadline_ns, stop_ns))

    def _carry_out(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None,
        wait: Callable[[subprocess.Popen[bytes]], str],
    ) -> str:
        """Start a program, ``wait`` for its end, and return what it printed."""
        command = shlex.join(argv)
        with self.log.open("a+b") as log:
            log.write(f"$ {command}\n".encode())
            log.flush()
            start = log.tell()
            try:
                process = subprocess.Popen(
                    _tied(argv),
                    env=inherited() if env is None else env,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise ToolFailure(command, f"could not be started: {error.strerror}", "") from error
            reason = wait(process)
            log.seek(start)
            output = log.read().decode("utf-8", "replace")
        if reason:
            raise ToolFailure(command, reason, output)
        return output


def _tied(argv: Sequence[str]) -> list[str]:
    """Return the command line that dies with us; where the kernel cannot do that (not Linux), ``argv``."""
    if not sys.platform.startswith("linux"):
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *argv]


def _run(process: subprocess.Popen[bytes], deadline_ns: int, tick: Callable[[int], None] | None) -> str:
    """Wait for the process and return how it failed, or an empty string; its group does not outlive this call."""
    started_ns = time.monotonic_ns()
    try:
        while True:
            elapsed_ns = time.monotonic_ns() - started_ns
            if elapsed_ns > deadline_ns:
                _end(process)
                return f"did not finish within {format_ns(deadline_ns)}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(timeout=min(_TICK_S, deadline_ns / NS_PER_S))
                break
            check_stop()
            if tick is not None:
                tick(time.monotonic_ns() - started_ns)
    except BaseException:
        _end(process)
        raise
    return _describe_end(status)


def _serve(process: subprocess.Popen[bytes], ready: Callable[[], bool], deadline_ns: int, stop_ns: int) -> str:
    """Wait until the process is ready, ask it to end, and return how it failed, or an empty string."""
    until_ns = time.monotonic_ns() + deadline_ns
    try:
        while not ready():
            if process.poll() is not None:
                return f"{_describe_end(process.returncode) or 'ended'} before it was ready"
            if time.monotonic_ns() > until_ns:
                _end(process)
                return f"was not ready within {format_ns(deadline_ns)}"
            check_stop()
            time.sleep(_POLL_S)
        process.terminate()
        until_ns = time.monotonic_ns() + stop_ns
        while process.poll() is None:
            if time.monotonic_ns() > until_ns:
                _end(process)
                return f"did not end within {format_ns(stop_ns)}"
            check_stop()
            time.sleep(_POLL_S)
    except BaseException:
        _end(process)
        raise
    return _describe_end(0 if process.returncode in {0, *_ASKED_TO_END} else process.returncode)


def _describe_end(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}" if status else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group: ask, then kill. The leader is unreaped until here, so its group id is still ours."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _await_exit(process, _GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _await_exit(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Wait until the leader has ended without reaping it, so that the group can still be named."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.02)
