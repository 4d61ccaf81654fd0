"""Our part of a file of summaries, which others append to as well: written after every run, and each time in its place.

Must never know what is written.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from harness.errors import UnfitEnvironmentError

_REPLACED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_APPENDED = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
"""A pipe that nothing reads is refused, where it would otherwise be waited for."""


class SummaryFile:
    """Appends a text to a file, and puts a later text in its place as long as nothing else was written after it.

    Args:
        path: Of the file, which is made when there is none. One that is no regular file (``/dev/stdout``) takes the
            last text alone.

    Raises:
        UnfitEnvironmentError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place, self._own = 0, b""
        try:
            if path.exists():
                os.close(os.open(path, _APPENDED if self._is_special() else _REPLACED))
            else:
                tempfile.TemporaryFile(dir=path.parent).close()  # leaves nothing
        except OSError as error:
            raise _unfit(path, error) from error

    def write(self, text: str, *, last: bool = True) -> None:
        """Write the text; raises UnfitEnvironmentError.

        Args:
            text: All that our part of the file is to hold.
            last: No other text follows.
        """
        content = f"{text}\n".encode("utf-8", "backslashreplace")
        if content == self._own:
            return
        try:
            if not self._is_special():
                with os.fdopen(os.open(self._path, _REPLACED, 0o666), "r+b") as file:
                    self._replace(file, content)
            elif last:
                descriptor = os.open(self._path, _APPENDED)
                os.set_blocking(descriptor, True)
                with os.fdopen(descriptor, "wb") as special:
                    special.write(content)
        except OSError as error:
            raise _unfit(self._path, error) from error

    def _is_special(self) -> bool:
        return self._path.exists() and not self._path.is_file()

    def _replace(self, file: BinaryIO, content: bytes) -> None:
        place = file.seek(0, os.SEEK_END)
        if self._own:
            file.seek(self._place)
            if file.read(len(self._own) + 1) == self._own:  # it is whole, and the last of the file
                place = self._place
        file.seek(place)
        file.write(content)
        file.truncate()
        self._place, self._own = place, content


def _unfit(path: Path, error: OSError) -> UnfitEnvironmentError:
    return UnfitEnvironmentError(
        f"cannot write the summary to {path}: {error.strerror or error}",
        hint="--summary names another file; without it, GITHUB_STEP_SUMMARY does",
    )
