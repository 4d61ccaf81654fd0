"""One child process of ours, from its start to the kernel's account of it.

Its end is seen through its process descriptor, and it is reaped together with the CPU time that it used, which
asyncio's own subprocesses do not return. Knows no run and no supervision.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, ClassVar

from harness.clock import NS_PER_S
from harness.runtime.kernel import procfs

_REAPED_ELSEWHERE = 255
"""Exit status of a child whose end another part of this process has taken."""


class Child:
    """A process in a session of its own; made in a running event loop, which sees its end.

    Args:
        argv: Command line.
        env: Its whole environment.
        log: Open file that gets stderr, and stdout without ``pipes``.
        pipes: Stdin and stdout are pipes: call ``connect`` before using them.
        directory: Where it runs; None = where this process does.

    Raises:
        OSError: It could not be started.
    """

    reaped_cpu_ns: ClassVar[int] = 0
    """CPU time of all of them that have ended."""

    def __init__(
        self,
        argv: tuple[str, ...],
        env: Mapping[str, str],
        log: IO[bytes],
        *,
        pipes: bool,
        directory: Path | None = None,
    ) -> None:
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else log,
            stderr=log,
            bufsize=0,
            env=dict(env),
            cwd=directory,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self.returncode: int | None = None
        self.stdin: asyncio.WriteTransport | None = None
        self.stdout: asyncio.StreamReader | None = None
        self._cpu_ns = 0
        self._ended = asyncio.Event()
        try:
            self._handle = os.pidfd_open(self.pid)
        except OSError:
            self._popen.kill()
            self._popen.wait()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._reap)

    async def connect(self) -> None:
        """Connect the pipes with ``stdin`` and ``stdout``."""
        reader = asyncio.StreamReader()
        await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._popen.stdout)
        self.stdin, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, self._popen.stdin)
        self.stdout = reader

    @property
    def cpu_ns(self) -> int:
        """User plus system time, with that of its children that it has waited for; in ticks of 10 ms while it runs."""
        return procfs.cpu_ns(self.pid) if self.returncode is None else self._cpu_ns

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> int:
        """Wait for its end and return the exit status; negative = signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def _reap(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        try:
            _, status, used = os.wait4(self.pid, 0)
        except ChildProcessError:
            self.returncode = _REAPED_ELSEWHERE
        else:
            self.returncode = os.waitstatus_to_exitcode(status)
            self._cpu_ns = round((used.ru_utime + used.ru_stime) * NS_PER_S)
            Child.reaped_cpu_ns += self._cpu_ns
        self._popen.returncode = self.returncode  # it must not look for the process again
        if self.stdin is not None:
            self.stdin.close()
        self._ended.set()
