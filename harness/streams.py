"""Standard streams that outlive their readers: a closed pipe or a lost terminal ends no run and changes no exit code.
A reader that stops reading (a pager, Ctrl-S) holds no run up either.

Owns what happens to words that nothing takes any more: they go nowhere. Knows no command.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any, ClassVar, Final, TextIO

_READER_LEFT: Final = frozenset((errno.EPIPE, errno.EIO, errno.ECONNRESET))
"""A pipe without readers; a terminal that was closed; a socket."""


_PIECE_BYTES: Final = 512
"""What a pipe takes without waiting once it says that it takes anything (POSIX, ``PIPE_BUF``)."""
_PATIENCE_MS: Final = 100
"""How long a reader may be slow before progress is left out: a run is controlled by the thread that writes it."""


class _Lasting(io.FileIO):
    """A descriptor that is written to; once its reader has left, everything goes nowhere.

    Args:
        descriptor: Stays open.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, content: Any, /) -> int | None:  # type: ignore[override]
        """Write, or discard when the reader has left; raises OSError otherwise."""
        try:
            return super().write(content)
        except OSError as error:
            if not self._reason_to_go_on(error):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(content).nbytes

    def _reason_to_go_on(self, error: OSError) -> bool:
        return error.errno in _READER_LEFT


class _Progress(_Lasting):
    """The same for progress: whatever is wrong with its stream, such as a full disk, stops nothing.

    While a run goes on (``going_on``), a reader that does not read holds nothing up either. What is left out is
    counted, and said as soon as the reader reads again. Otherwise a slow reader is waited for.

    Attributes:
        runs: How many are going on.
    """

    runs: ClassVar[int] = 0

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._left_out = 0
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, content: Any, /) -> int | None:  # type: ignore[override]
        """Write as much as is read, and leave out the rest."""
        rest = memoryview(content).cast("B")
        size = rest.nbytes
        if self._left_out and self._reads():
            said = f"\n({self._left_out:,} bytes of progress were left out, because the reader did not read them)\n"
            super().write(said.encode("ascii"))
            self._left_out = 0
        while rest.nbytes:
            if not self._reads():
                self._left_out += rest.nbytes
                break
            rest = rest[super().write(rest[:_PIECE_BYTES]) or 0 :]
        return size

    def _reads(self) -> bool:
        """Return whether a piece is taken at once, or soon by a reader that has read so far. Errors count: writing
        finds them.
        """
        return not _Progress.runs or bool(self._poll.poll(0 if self._left_out else _PATIENCE_MS))

    def _reason_to_go_on(self, error: OSError) -> bool:
        del error
        return True


@contextlib.contextmanager
def going_on() -> Iterator[None]:
    """Wait for no reader of progress while this lasts; may be nested."""
    _Progress.runs += 1
    try:
        yield
    finally:
        _Progress.runs -= 1


def outlive_readers() -> None:
    """Make this process's streams lasting, and open those that were closed: a file of a run must not become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    if sys.stdout is sys.__stdout__:  # else a test has put its own in its place
        sys.stdout = _lasting(sys.stdout, _Lasting(1))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr, _Progress(2))


def _lasting(stream: TextIO | None, file: _Lasting) -> TextIO:
    """Return a text stream that is written as ``stream`` was, with signs that it cannot show escaped."""
    encoding = "utf-8" if stream is None else stream.encoding
    if stream is not None:
        stream.flush()
    descriptor = file.fileno()
    return io.TextIOWrapper(
        io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=descriptor == 2 or os.isatty(descriptor)
    )
