"""Which of the tests that do not fit into every CI run are due in this one: a part of them, another one each commit.

The key is the number of commits, so that a run can be repeated: ``git rev-list --count HEAD``. ``HARNESS_ROTATION``
takes its place where there is no repository.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class RotationError(Exception):
    """The key cannot be known, so nobody could say what has been left out."""


def rotation_key(root: Path) -> int:
    """Return the key of this commit.

    Raises:
        RotationError: There is no repository, or its history is cut off: then the number of commits means nothing.
    """
    given = os.environ.get("HARNESS_ROTATION", "")
    if given:
        if not given.isdecimal():
            raise RotationError(f"HARNESS_ROTATION must be a whole number, not {given!r}")
        return int(given)
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
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip()
        raise RotationError(f"git {' '.join(words)} failed: {detail} (HARNESS_ROTATION gives a key)") from error
    return done.stdout.strip()
