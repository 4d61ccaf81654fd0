"""The last lines of a file."""

from __future__ import annotations

import os
from pathlib import Path

_READ_BYTES = 64 * 1024


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a text file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _READ_BYTES))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
