"""One process makes a thing while others wait: a lock on a file, which the kernel releases when its holder dies.

Owns how long others wait, and what they say meanwhile. Knows nothing of what is made.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import filelock

from harness.clock import NS_PER_S
from harness.distributions.tool import check_stop
from harness.errors import DownloadError
from harness.units import format_ns

_WAIT_NS_MAX: Final = 30 * 60 * NS_PER_S  # longer than the deadlines of one pip install and one build together
_REPORT_EVERY_S: Final = 10.0


@contextlib.contextmanager
def locked(file: Path, title: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock; while another process holds it, say so.

    Args:
        file: The lock's; folders above it are created.
        title: What is made, for people.
        progress: Receives one line at a time, for people.

    Raises:
        DownloadError: Another process has held it for half an hour.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(file)
    started_ns = time.monotonic_ns()
    timeout_s = 0.1  # a lock held longer than that is another process's build
    while True:
        try:
            lock.acquire(timeout=timeout_s, poll_interval=0.1)
            break
        except filelock.Timeout:
            waited_ns = time.monotonic_ns() - started_ns
        check_stop()
        if waited_ns > _WAIT_NS_MAX:
            raise DownloadError(
                f"another process has been making {title} for {format_ns(waited_ns)}",
                hint=f"is it hanging? It holds {lock.lock_file}",
            )
        progress(f"waiting for another process that is making {title}… {waited_ns // NS_PER_S} s")
        timeout_s = _REPORT_EVERY_S
    try:
        yield
    finally:
        lock.release()
