"""Signals over a whole session: the first ends it cleanly, a second one hastens, a third one ends it at once.

Owns what is said at once, in any phase. A signal that was ignored when the process started (``nohup``) stays ignored.
Knows no run: what ends one is attached while it goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Final, Self

from harness.errors import ExitCode

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


def heeded(numbers: Sequence[signal.Signals] = SIGNALS) -> tuple[signal.Signals, ...]:
    """Return those signals that this process does not ignore."""
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


class Signals:
    """The signals of one session; a context manager, which acts in the main thread alone.

    Args:
        say: Prints one sentence, at once; called from a signal handler.
        leave: Ends the process; a test puts its own in its place.
    """

    def __init__(self, say: Say, leave: Callable[[int], None] = os._exit) -> None:
        self._say, self._leave = say, leave
        self._before: list[tuple[signal.Signals, object]] = []
        self._count = 0
        self._judging = False
        self._end: Callable[[], str] | None = None
        self._hasten: Callable[[], None] | None = None

    @property
    def asked(self) -> bool:
        """Whether the session is to end."""
        return self._count > 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                ignored = signal.getsignal(number) is signal.SIG_IGN
                # Ignored by a handler, which ends with an exec: a node that ignored SIGTERM could not be stopped.
                before = signal.signal(number, _ignore if ignored else self._receive)
                self._before.append((number, before))
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            number, before = self._before.pop()
            signal.signal(number, before)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def running(self, end: Callable[[], str], hasten: Callable[[], None]) -> Iterator[None]:
        """While a run goes on: ``end`` has it taken down and returns what is healed; ``hasten`` lets it wait no longer.

        Both are called from a signal handler, in the main thread.
        """
        self._end, self._hasten = end, hasten
        try:
            yield
        finally:
            self._end = self._hasten = None

    @contextlib.contextmanager
    def judging(self) -> Iterator[None]:
        """While what was recorded is judged and written: a first signal lets it end, a second one breaks it off with
        KeyboardInterrupt.
        """
        self._judging = True
        try:
            yield
        finally:
            self._judging = False

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        name = signal.Signals(number).name
        if self._count > 2:
            self._tell(f"{name}: ended; the next start of the harness removes what is left")
            self._leave(int(ExitCode.INTERRUPTED))
        elif self._end is not None and self._hasten is not None:
            if self._count == 1:
                self._tell(f"{name}: {self._end()}; once more: without waiting for anything")
            else:
                self._tell(f"{name}: everything of this run is killed; once more: the harness ends at once")
                self._hasten()
        elif self._judging and self._count == 1:
            self._tell(f"{name}: what was recorded is judged and written, then this ends; once more: it is left")
        else:
            raise KeyboardInterrupt

    def _tell(self, text: str) -> None:
        with contextlib.suppress(RuntimeError, OSError):  # the signal came while the very stream was being written to
            self._say(text)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing, as the default of who started us was."""
