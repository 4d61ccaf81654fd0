"""A container's output as a file: every byte once, over all its starts.

The engine's log is read, not the attached streams: whoever attaches to a container that is just starting, or whose
engine is slow, misses what it says between being answered and being heard.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any


class ContainerOutput:
    """Copies what a container says into a file while it runs.

    Args:
        log: The file; appended to.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._copied = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def follow(self, container: Any) -> None:
        """Begin to copy what a container that was started says, in a thread that ends with it."""
        self._thread = threading.Thread(target=self._copy, args=(container,), daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until the last words of a container that has ended are in the file."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _copy(self, container: Any) -> None:
        # Whatever breaks the stream: a container's end is told by the kernel, not by its output.
        with self._lock, contextlib.suppress(Exception):
            self._append(container.logs(stream=True, follow=True))
            # Once more when it has ended: engines were known to drop a follower's last lines.
            self._append(container.logs(stream=True, follow=False))

    def _append(self, chunks: Any) -> None:
        """Append what is new; the engine sends its log from the first start on."""
        at = 0
        with contextlib.closing(chunks), self._log.open("ab", buffering=0) as file:
            for chunk in chunks:
                new = chunk[max(0, self._copied - at) :]
                at += len(chunk)
                if new:
                    file.write(new)
                    self._copied = at
