"""What a session needs of the machine, tried before anything is started: directories, open files, threads.

Owns that a session either can begin, or is refused with what to change. Starts nothing that outlives the trial.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.errors import UnfitEnvironmentError
from harness.runtime.ledger import state_dir

_OPEN_FILES_MIN: Final = 512
"""A small run opens some 150 files in this process, and a Java broker some 300."""
_OPEN_FILES_WANTED: Final = 65_536
_THREADS_MIN: Final = 32
_ROOM_BYTES: Final = 65_536


def require_fit(reports: Path) -> None:
    """Try what every run needs.

    Args:
        reports: Where run directories will be made.

    Raises:
        UnfitEnvironmentError: It is not to be had; says what to change.
    """
    _open_files()
    require_threads()
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UnfitEnvironmentError(
            "there is no directory for temporary files that can be written", hint="set TMPDIR to one"
        ) from error
    _writable(state_dir() / "runs", "the state directory", "set HARNESS_STATE_DIR to a directory that can be written")
    _writable(reports, "the directory for reports", "choose another one with --reports")


def _open_files() -> None:
    """Raise the limit as far as it goes; refuse one that is too low for any run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft != resource.RLIM_INFINITY and soft < _OPEN_FILES_MIN:
        raise UnfitEnvironmentError(
            f"this process may open {soft} files, and a run needs {_OPEN_FILES_MIN}",
            hint=f"raise the limit: ulimit -n {_OPEN_FILES_MIN} or more",
        )


def require_threads(start: Callable[[threading.Thread], None] = threading.Thread.start) -> None:
    """Refuse a user or a control group that has no threads left, since a run would die of it in its middle.

    Raises:
        UnfitEnvironmentError: Too few can be started by ``start``, which raises RuntimeError then.
    """
    end = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_THREADS_MIN):
            thread = threading.Thread(target=end.wait, daemon=True)
            start(thread)
            started.append(thread)
    except RuntimeError as error:
        raise UnfitEnvironmentError(
            f"no more than {len(started)} threads can be started, and a run needs {_THREADS_MIN} at least",
            hint="raise the limit of processes: ulimit -u, or pids.max of the control group",
        ) from error
    finally:
        end.set()
        for thread in started:
            thread.join()


def _writable(directory: Path, what: str, hint: str) -> None:
    probe = directory / f".probe-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(_ROOM_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise UnfitEnvironmentError(f"{what} cannot be written: {directory}: {error.strerror}", hint=hint) from error
