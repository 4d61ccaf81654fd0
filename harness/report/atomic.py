"""Files are written whole or not at all. Must never know what is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from harness.errors import UnfitEnvironmentError


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 so that ``path`` holds either all of it or what it held before.

    Raises:
        UnfitEnvironmentError: The directory does not exist, is not writable, or the disk is full.
    """
    with atomic_file(path) as file:
        file.write(text)


def require_writable(path: Path) -> None:
    """Refuse a file that could not be written, before anything that it is to report is begun; leaves nothing.

    Raises:
        UnfitEnvironmentError: The directory does not exist or is not writable, or the path is a directory.
    """
    if path.is_dir():
        raise UnfitEnvironmentError(f"cannot write {path}: it is a directory")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        Path(name).unlink()
    except OSError as error:
        raise UnfitEnvironmentError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[TextIO]:
    """Give a file to write to, as UTF-8; ``path`` then holds all that was written, or what it held before.

    Raises:
        UnfitEnvironmentError: The directory does not exist, is not writable, or the disk is full.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)  # mkstemp's 0o600 would hide a CI artifact from its reader
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UnfitEnvironmentError(f"cannot write {path}: {error.strerror or error}") from error
