"""Whether a run directory still is what its run left: then it is judged, otherwise nothing in it proves anything.

Owns the rule of docs/history.md: what was cut, changed, removed or added never makes a verdict better. Judges no
guarantee.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from harness.engine.engine import RunRecord
from harness.errors import ExitCode, UnfitEnvironmentError, is_machines
from harness.history.events import DeathEvent
from harness.history.manifest import MANIFEST, Inspection, inspect
from harness.history.read import History, HistoryError

_SEALED_FROM = 2
"""Format of a run directory from which it has a manifest."""


def read_whole(run_dir: Path) -> tuple[History, Inspection]:
    """Return the history of a run directory and what was seen of its files.

    Raises:
        DamagedError: It is not what its run left, or no run leaves such files.
        HistoryError: It is what its run left, and makes no history.
        UnfitEnvironmentError: This machine does not let it be read.
    """
    sealed = False
    try:
        seen = inspect(run_dir)
        if seen.damage:
            raise DamagedError(seen.sentence)
        sealed = seen.sealed
        history = History.load(run_dir)
        _ = history.index  # here it is noticed when completions refer to nothing
    except OSError as error:
        name = Path(os.fsdecode(error.filename)).name if error.filename else "a file of the run directory"
        said = f"{name} cannot be read: {error.strerror}"
        if is_machines(error) and error.errno != errno.EFBIG:
            raise UnfitEnvironmentError(said) from error
        raise DamagedError(said) from error
    except HistoryError as error:
        if sealed:
            raise
        raise DamagedError(error.message, hint=error.hint) from error  # nothing shows that its run left it so
    damage = tuple(_since_death(history, seen))
    if damage:
        raise DamagedError(Inspection(sealed=seen.sealed, damage=damage, sums=seen.sums).sentence)
    return history, seen


class DamagedError(HistoryError):
    """A run directory was cut, changed, or lacks a file: no finding and no pass can rest on it."""

    exit_code = ExitCode.INCONCLUSIVE


def unsealed(seen: Inspection, record: RunRecord) -> Iterator[str]:
    """Yield why nothing shows that a run directory is whole: then it never passes."""
    if seen.sealed or record.error:  # a run that broke off may not have come so far, and does not pass anyway
        return
    if record.format < _SEALED_FROM:
        yield f"the run directory has format {record.format}, without {MANIFEST}: nothing shows that it is whole"
    else:
        yield f"{MANIFEST} is missing: nothing shows that the run directory is whole"


def _since_death(history: History, seen: Inspection) -> Iterator[str]:
    """Yield each journal that is not as it was when its writer died."""
    for event in history.of_kind(DeathEvent):
        name = f"{event.worker}.{event.incarnation}"
        found = seen.sums.get(f"history/{name}.journal")
        if found is None:
            yield f"the journal of {name} is missing"
        elif (found.size, found.checksum) != (event.journal_bytes, event.checksum):
            before = f"{event.journal_bytes:,} bytes"
            yield f"the journal of {name} ({found.size:,} bytes) is not the one of its writer's death ({before})"
