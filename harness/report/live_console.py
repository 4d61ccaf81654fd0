"""A console for progress: a live view on a terminal, plain timestamped lines everywhere else.

Owns when the view begins and ends, and how a lasting line is written. Must never know what is shown.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from harness.report.sanitize import clean, clip
from harness.streams import going_on

REFRESH_HZ: Final = 4
_LINE_MAX: Final = 2_000


class LiveConsole(ABC):
    """Shows progress; a context manager, so that the terminal is sane whatever way the work ends.

    Args:
        progress: Console, usually on stderr; decides between live view and plain lines.
        live: Force one of them; None asks the console.
        monotonic_s: Clock for elapsed times, seconds.
        now: Clock for timestamps of lines.
    """

    def __init__(
        self,
        progress: Console,
        *,
        live: bool | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._progress, self._monotonic_s, self._now = progress, monotonic_s, now
        self._is_live = progress.is_terminal and not progress.is_dumb_terminal if live is None else live
        self._live: Live | None = None
        self._while_shown = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._while_shown.enter_context(going_on())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._while_shown.close()

    @abstractmethod
    def render(self) -> RenderableType:
        """Return the live view as it is now; called ``REFRESH_HZ`` times a second."""

    def close(self) -> None:
        """Take the live view down and give the cursor back; may be called at any time, more than once."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _open(self) -> None:
        """Begin the live view where there is to be one; harmless while it goes on."""
        if self._is_live and self._live is None:
            self._live = Live(
                console=self._progress,
                refresh_per_second=REFRESH_HZ,
                get_renderable=self.render,
                redirect_stdout=False,  # stdout may be a pipe that carries JSON
                transient=True,
            )
            self._live.start()

    def _line(self, text: str, *, style: str = "") -> None:
        """Write a lasting line; above the live view when there is one."""
        self._write(Text(clip(clean(text), _LINE_MAX), style=style))

    def _write(self, text: Text) -> None:
        stamp = Text(f"{self._now():%H:%M:%S}  ", style="dim")
        self._progress.print(stamp + text, soft_wrap=self._live is None)
