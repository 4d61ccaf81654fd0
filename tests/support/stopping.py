"""Stops a process, and knows when it has stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_PATIENCE_S = 60.0
_POLL_S = 0.005


def stop_whole(pid: int) -> None:
    """Stop a process, and wait until all of its threads have stopped.

    The kernel stops a thread when that thread is next scheduled: until then, on a busy machine, it may still answer.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _PATIENCE_S
    while states := _states(pid) - {"T"}:
        assert time.monotonic() < deadline, f"process {pid} does not stop: {sorted(states)}"
        time.sleep(_POLL_S)


def _states(pid: int) -> set[str]:
    """Return the states of the threads of a process, as proc(5) names them."""
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # The name before it may hold spaces and brackets.
        found.add((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return found
