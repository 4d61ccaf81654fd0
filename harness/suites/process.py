"""The suite's end of one run's process: started in a session of its own, so that a terminal's Ctrl-C reaches the suite
alone.

Owns what a death without a result means. Knows nothing of schedules.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import ExitCode
from harness.suites.messages import GO, LINE_MAX, STOP, Ended, RunRequest, ended_from, line
from harness.verdict import Verdict

CHILD_COMMAND: Final = (sys.executable, "-P", "-m", "harness.suites.child")
HUNG_NS: Final = 600 * NS_PER_S
"""How much longer than declared a run may take, once its cluster is starting."""
LEAVES_S: Final = 60.0
"""How long the process of a run may take to end once it has said all; a thread of a client may hold it."""

_LOG_TAIL: Final = 4_096

Heard = Callable[[str, Mapping[str, Any]], None]
"""Called with the name and the content of each event of a run, its end excepted."""


class RunProcess:
    """One run.

    Args:
        request: What it is to do.
        log: Where its stderr goes; removed when nothing was written.
        command: What runs it; see ``child.main``.
        heard: Called with its progress.
        declared_ns: Warm-up, timeline and drain together.
    """

    def __init__(self, request: RunRequest, log: Path, command: Sequence[str], heard: Heard, declared_ns: int) -> None:
        self._request, self._log, self._command, self._heard = request, log, command, heard
        self._limit_ns = declared_ns + HUNG_NS
        self._process: asyncio.subprocess.Process | None = None
        self._hung = False
        self.admitted = False
        self.run_dir = ""
        self.began_ns = 0

    @property
    def pid(self) -> int:
        """Process id; 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    async def run(self) -> Ended:
        """Start it and wait for its end; whatever it dies of, there is an answer."""
        try:
            with self._log.open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    limit=LINE_MAX,
                )
        except OSError as error:
            return lost(ExitCode.ENVIRONMENT, f"the process of the run could not be started: {error.strerror}")
        try:
            await self._write(line(self._request))
            ended = await self._listen(self._process)
            code = await self._left(self._process)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            raise
        if ended is None:
            ended = lost(*self._why(code), self.run_dir)
        if self._log.stat().st_size == 0:
            self._log.unlink()
        return ended

    def admit(self) -> None:
        """Let its cluster start."""
        self.admitted, self.began_ns = True, monotonic_ns()
        self._say(GO)

    def stop(self) -> None:
        """End it as SIGINT does: it is taken down, judged and reported."""
        self._say(STOP)

    def cut(self) -> None:
        """End it as the death of the suite does: it is taken down and given little time to be judged."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _listen(self, process: asyncio.subprocess.Process) -> Ended | None:
        """Return the result; None when it ended without one."""
        assert process.stdout is not None
        hung: asyncio.TimerHandle | None = None
        try:
            while text := await process.stdout.readline():
                message = json.loads(text)
                event = message.pop("event")
                if event == "ended":
                    return ended_from(message["result"])
                if event == "refused":
                    return lost(message["exit_code"], message["message"])
                if event == "began":
                    self.run_dir = message["run_dir"]
                elif event == "phase" and message["phase"] == "up":
                    hung = asyncio.get_running_loop().call_later(self._limit_ns / NS_PER_S, self._kill)
                self._heard(event, message)
        except ValueError:  # a line too long, or no JSON: it is not ours
            self._kill()
        finally:
            if hung is not None:
                hung.cancel()
        return None

    async def _left(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the end of a process that has no more to say, and end it after a while; return its exit status."""
        try:
            return await asyncio.wait_for(process.wait(), LEAVES_S)
        except TimeoutError:
            self._kill()
            return await process.wait()

    def _kill(self) -> None:
        self._hung = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _say(self, word: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):  # it has ended
                self._process.stdin.write(word)

    async def _write(self, content: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has died; its exit status says how
            self._process.stdin.write(content)
            await self._process.stdin.drain()

    def _why(self, code: int) -> tuple[int, str]:
        """Return exit code and reason of a run that ended without a result."""
        said = _tail(self._log)
        if self._hung:
            limit = f"{self._limit_ns / NS_PER_S:.0f} s"
            return ExitCode.INTERNAL, f"the process of the run had no result {limit} after its start, and was killed"
        if code == ExitCode.INTERRUPTED:
            return ExitCode.INTERRUPTED, "interrupted"
        if code == -signal.SIGKILL:
            return (
                ExitCode.ENVIRONMENT,
                "the process of the run was killed (SIGKILL): by the kernel for lack of memory, or from outside",
            )
        if code < 0:
            return ExitCode.INTERNAL, f"the process of the run died of {signal.Signals(-code).name}{said}"
        return ExitCode.INTERNAL, f"the process of the run ended without a result (exit status {code}){said}"


def lost(code: int, why: str, run_dir: str = "") -> Ended:
    """Return what stands for the result of a run that has none; ``run_dir`` is what it had begun."""
    return Ended(
        run_dir=run_dir,
        verdict=Verdict.INCONCLUSIVE,
        outcome=Verdict.INCONCLUSIVE,
        exit_code=code,
        headline=why,
        error=why,
        lost=True,
    )


def _tail(log: Path) -> str:
    """Return the last line of a log, after a colon; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1]}" if lines else ""
