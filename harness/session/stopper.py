"""Ending a run from another thread, as a signal ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stopper:
    """A request to end a run; it may come before the run has begun, from any thread, and more than once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._end: Callable[[], None] | None = None

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked

    def ask(self) -> None:
        """End the run: everything is taken down, and what was recorded is judged."""
        with self._lock:
            self._asked = True
            if self._end is not None:
                self._end()

    def attach(self, end: Callable[[], None] | None) -> None:
        """Set what ends the run that goes on; None when none does. It is called at once when that was asked for."""
        with self._lock:
            self._end = end
            if self._asked and end is not None:
                end()
