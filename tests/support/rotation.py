"""Which of the tests that do not fit into every CI run are due in this one: a part of them, another one each commit.

The key is the number of commits, so that a run can be repeated: ``git rev-list --count HEAD``. Where there is no
repository, or no git, it is the number of the day. ``HARNESS_ROTATION`` takes the place of both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_DAY_S = 86_400


class RotationError(Exception):
    """The key cannot be known, so what is left out would be unknown."""


def rotation_key(root: Path) -> int:
    """Return the key of this commit; without a repository, of this day.

    Raises:
        RotationError: The history is cut off, or cannot be read: then the number of commits means nothing.
    """
    given = os.environ.get("HARNESS_ROTATION", "")
    if given:
        if not given.isdecimal():
            raise RotationError(f"HARNESS_ROTATION must be a whole number, not {given!r}")
        return int(given)
    if shutil.which("git") is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return int(time.time()) // _DAY_S
    if _git(root, "rev-parse", "--is-shallow-repository") != "false":
        raise RotationError("this clone is shallow, so its commits cannot be counted: clone with the whole history")
    return int(_git(root, "rev-list", "--count", "HEAD"))


def due(items: Sequence[T], of: int, key: int) -> list[T]:
    """Return the items whose turn it is: every ``of``-th, so that ``of`` consecutive keys cover all of them once."""
    if of < 1:
        raise ValueError(f"a rotation needs at least one part, not {of}")
    return [item for number, item in enumerate(items) if number % of == key % of]


def _git(root: Path, *words: str) -> str:
    try:
        # Another user may have made the clone.
        trusted = ["git", "-c", "safe.directory=*", *words]
        done = subprocess.run(trusted, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip()
        raise RotationError(f"git {' '.join(words)} failed: {detail} (HARNESS_ROTATION gives a key)") from error
    return done.stdout.strip()
