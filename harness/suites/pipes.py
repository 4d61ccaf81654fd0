"""The run's end of the two pipes to its suite.

They are taken away from the standard streams first, so that nothing that a run starts can read or write them.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Mapping

from harness.suites.messages import PROGRESS_MAX, line

_WAITING_MAX = 16


class CommandPipe:
    """Lines from the suite."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def next_line(self) -> bytes:
        """Wait for the next line and return it; empty when the suite is gone."""
        while b"\n" not in self._rest:
            part = os.read(self._fd, 1 << 16)
            if not part:
                return b""
            self._rest += part
        found, _, self._rest = self._rest.partition(b"\n")
        return found


class AnswerPipe:
    """Lines to the suite, of several threads: a signal is answered by another one than the run's."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.RLock()  # a signal may come while its thread writes
        self._waiting: deque[bytes] = deque(maxlen=_WAITING_MAX)
        os.set_blocking(fd, False)

    def send(self, message: Mapping[str, object], *, droppable: bool) -> None:
        """Write a line of progress if the pipe takes it at once; one that may not be dropped goes with the next line.

        Lines of more than ``PROGRESS_MAX`` bytes are dropped, because a pipe may take a part of one.
        """
        text = line(message)
        if len(text) > PROGRESS_MAX:
            return
        with self._lock:
            if droppable and self._waiting:
                return
            self._waiting.append(text)
            self._write(droppable=droppable)

    def deliver(self, message: object) -> None:
        """Write a line whole, however long the suite takes to read it; nothing when it is gone."""
        rest = b"".join((*self._waiting, line(message)))
        self._waiting.clear()
        while rest:
            try:
                select.select([], [self._fd], [])
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                continue
            except OSError:
                return

    def _write(self, *, droppable: bool) -> None:
        while self._waiting:
            try:
                os.write(self._fd, self._waiting[0])
            except BlockingIOError:
                if droppable:
                    self._waiting.pop()
                return
            except OSError:  # the suite is gone
                self._waiting.clear()
                return
            self._waiting.popleft()


def take_pipes() -> tuple[CommandPipe, AnswerPipe]:
    """Return the suite's pipes; stdin is empty from now on, and what goes to stdout lands in stderr."""
    commands, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return CommandPipe(commands), AnswerPipe(answers)
