"""Standard streams that outlive their readers: a closed pipe or a lost terminal ends no run and changes no exit code.

Owns what happens to words that nothing takes any more: they go nowhere. Knows no command.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, Final, TextIO

_READER_LEFT: Final = frozenset((errno.EPIPE, errno.EIO, errno.ECONNRESET))
"""A pipe without readers; a terminal that was closed; a socket."""


class _Lasting(io.FileIO):
    """A descriptor that is written to; once its reader has left, everything goes nowhere.

    Args:
        descriptor: Stays open.
        any_error: Other errors (a full disk) are no reason to stop either: for progress, not for results.
    """

    def __init__(self, descriptor: int, *, any_error: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._any_error = any_error

    def write(self, content: Any, /) -> int | None:  # type: ignore[override]
        """Write, or discard when the reader has left; raises OSError otherwise."""
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in _READER_LEFT and not self._any_error:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(content).nbytes


def outlive_readers() -> None:
    """Make this process's streams lasting, and open those that were closed: a file of a run must not become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    if sys.stdout is sys.__stdout__:  # else a test has put its own in its place
        sys.stdout = _lasting(sys.stdout, 1, any_error=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr, 2, any_error=True)


def _lasting(stream: TextIO | None, descriptor: int, *, any_error: bool) -> TextIO:
    """Return a text stream that is written as ``stream`` was, with signs that it cannot show escaped."""
    encoding = "utf-8" if stream is None else stream.encoding
    if stream is not None:
        stream.flush()
    buffer: io.BufferedWriter = io.BufferedWriter(_Lasting(descriptor, any_error=any_error))
    return io.TextIOWrapper(
        buffer, encoding, "backslashreplace", line_buffering=descriptor == 2 or os.isatty(descriptor)
    )
