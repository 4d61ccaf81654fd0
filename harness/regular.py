"""Reading files that others may have put there: regular ones alone, and no larger than they may be.

Owns that a named pipe, a device or a file without end never holds the harness up, nor fills its memory. Knows no
format.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

DOCUMENT_BYTES_MAX: Final = 64 * 2**20
"""Of a document that is read as a whole. The largest that a run writes is its plan, some 2 MiB for 500 faults."""
_GROWTH_BYTES: Final = 65_536


def read_regular(path: Path, bytes_max: int = DOCUMENT_BYTES_MAX, *, own: bool = False) -> bytes:
    """Return the content of a regular file.

    Args:
        path: Of the file; a symbolic link is followed, unless it is to be our own.
        bytes_max: Inclusive.
        own: It must be this user's: for what is acted on.

    Raises:
        OSError: It cannot be read, is no regular file (EINVAL), is another user's (EPERM), or is too large (EFBIG);
            ``strerror`` says which.
    """
    # Without O_NONBLOCK, opening a named pipe waits until another process writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if own else 0))
    try:
        status = os.fstat(descriptor)
        _refuse_special(path, status.st_mode)
        if own and status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"it belongs to user {status.st_uid}", str(path))
        # No more is asked for than there is: Python makes room for all that is asked for.
        content = b"" if status.st_size > bytes_max else _read(descriptor, status.st_size)
    finally:
        os.close(descriptor)
    if max(status.st_size, len(content)) > bytes_max:
        raise OSError(errno.EFBIG, f"it has more than {bytes_max:,} bytes", str(path))
    return content


def _read(descriptor: int, size: int) -> bytes:
    """Return what a file holds; it may have grown by a little, and one of ``/proc`` has no size."""
    parts, left = list[bytes](), size + _GROWTH_BYTES
    while left > 0 and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_regular_text(path: Path, bytes_max: int = DOCUMENT_BYTES_MAX) -> str:
    """Return the content of a regular file in UTF-8; raises as ``read_regular`` does, and UnicodeDecodeError."""
    return read_regular(path, bytes_max).decode("utf-8")


def require_regular(path: Path) -> None:
    """Raise OSError unless a path leads to a regular file: for one that is about to be mapped."""
    _refuse_special(path, path.stat().st_mode)


def _refuse_special(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
