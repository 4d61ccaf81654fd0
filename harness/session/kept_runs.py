"""The run directories that are kept, how much they take, and the removal of old ones.

Owns what is a run directory. Only these are ever removed, never a run that goes on, nor what a suite still refers to.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.runtime.ledger import state_dir

_NAME: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}-.+")
"""``<date>-<time>-<random>-<scenario>``, see ``engine/rundir.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """One run directory.

    Attributes:
        path: Where it lies.
        bytes_: What it takes on disk.
    """

    path: Path
    bytes_: int


def kept_runs(reports: Path) -> list[KeptRun]:
    """Return the run directories directly below a folder, the oldest first; those of suites are not among them."""
    try:
        entries = sorted(reports.iterdir(), key=lambda path: path.name)
    except OSError:
        return []
    return [
        KeptRun(path=path, bytes_=_bytes_of(path))
        for path in entries
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink() and (path / "plan.json").is_file()
    ]


def going_on() -> frozenset[str]:
    """Return the ids of runs that go on; after a sweep, these are all that the ledger knows."""
    try:
        return frozenset(path.name for path in (state_dir() / "runs").iterdir())
    except OSError:
        return frozenset()


def remove_runs(
    runs: Sequence[KeptRun], keep: int, living: Collection[str], *, dry_run: bool = False
) -> tuple[list[KeptRun], list[str]]:
    """Remove all but the newest runs; return those that are gone, and why others are not.

    Args:
        runs: The oldest first.
        keep: How many stay, from 0.
        living: Run ids of runs that go on: they stay, and do not count.
        dry_run: Only return what would be removed.
    """
    ended = [run for run in runs if not any(run.path.name.startswith(f"{run_id}-") for run_id in living)]
    gone, left = [], []
    for run in ended[: max(0, len(ended) - keep)]:
        try:
            if not dry_run:
                shutil.rmtree(run.path)
            gone.append(run)
        except OSError as error:
            left.append(f"{run.path}: {error.strerror or error}")
    return gone, left


def _bytes_of(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).lstat().st_blocks * 512
            except OSError:
                continue  # removed meanwhile
    return total
