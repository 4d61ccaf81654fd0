"""Follows one part of a run, and journals each time in which it did not run although no fault of the plan did that.

Owns when such a time begins and ends. What the kernel shows is ``runtime.kernel.standstill``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from harness.clock import NS_PER_S
from harness.history.events import StandstillEvent
from harness.runtime.kernel.standstill import KERNEL, Kernel, Starvation

How = Literal["stopped", "frozen", "starved", "silent"]

FROZEN_NS = NS_PER_S // 2
"""How often is looked whether a control group is frozen."""
STARVED_LOOK_NS = NS_PER_S
_READY = "R"
SILENT_S = 5.0
"""What runs and has reported nothing for so long hangs."""


class Standing:
    """One part over a run. Call ``look`` about ten times a second.

    Args:
        part: Its name.
        journal: Takes an event as each such time begins, and another one, from the same time on, once it is over.
        say: Called as one begins, with the part and how.
        look_s: The pause between two looks.
        kernel: What is asked.
    """

    def __init__(
        self,
        part: str,
        journal: Callable[[StandstillEvent], None],
        say: Callable[[str, str], None] = lambda _part, _how: None,
        look_s: float = 0.1,
        kernel: Kernel = KERNEL,
    ) -> None:
        self._kernel = kernel
        self._part, self._journal, self._say = part, journal, say
        self._how, self._since_ns, self._seen_ns = "", 0, 0
        self._frozen_at = self._starved_at = 0
        self._pid, self._starvation = 0, Starvation(self._kernel)
        self._heard: int | None = None
        self._unheard, self._silent_looks, self._used_ns = 0, round(SILENT_S / look_s), 0

    def look(self, pid: int, *, held: bool = False, heard: int | None = None, may_starve: bool = False) -> None:
        """Look once; raises JournalError.

        Args:
            pid: Of its process; 0 when it does not run.
            held: A fault of the plan keeps it stopped.
            heard: How often it has reported so far; None for what does not report.
            may_starve: A fault of the plan takes CPU or memory away from it.
        """
        now = self._kernel.now_ns()
        how, since = "", now
        if pid != self._pid:
            self._pid, self._starvation, self._heard, self._unheard = pid, Starvation(self._kernel), None, 0
        if pid and self._kernel.stopped(pid):
            how = "" if held else "stopped"
        elif pid:
            how, since = self._otherwise(pid, now, heard, may_starve=may_starve or held)
        if how and held:
            how = ""
        self._follow(how, since, now)

    def end(self) -> None:
        """End the watch; what lasts is journaled as lasting."""
        if self._how:
            self._write(self._kernel.now_ns(), lasting=True)

    def _otherwise(self, pid: int, now: int, heard: int | None, *, may_starve: bool) -> tuple[str, int]:
        """Return how else it does not run, and since when."""
        if now - self._frozen_at >= FROZEN_NS or self._how == "frozen":
            self._frozen_at = now
            if self._kernel.frozen(pid):
                return "frozen", now
        if now - self._starved_at >= STARVED_LOOK_NS:
            self._starved_at = now
            since = self._starvation.since(pid)
            if since and not may_starve:
                return "starved", since
        elif self._how == "starved":
            return "starved", now
        return self._silence(now, heard)

    def _silence(self, now: int, heard: int | None) -> tuple[str, int]:
        # Counts looks, not time: while this process itself does not run, no part is to blame for what is unread.
        if heard is None or heard != self._heard:
            self._heard, self._unheard = heard, 0
            return "", now
        used_ns = self._kernel.cpu_ns(self._pid)
        # One that is ready to run and gets no CPU is late on a busy machine, and hangs not.
        if self._kernel.state(self._pid) != _READY or used_ns != self._used_ns:
            self._unheard += 1
        self._used_ns = used_ns
        return ("silent", now - round(SILENT_S * NS_PER_S)) if self._unheard >= self._silent_looks else ("", now)

    def _follow(self, how: str, since: int, now: int) -> None:
        if how == self._how:
            self._seen_ns = now
            return
        if self._how:
            self._write(now, lasting=False)
        self._how, self._since_ns, self._seen_ns = how, since, now
        if how:
            # At once: this process may itself be ended before it is over.
            self._write(now, lasting=True)
            self._say(self._part, how)

    def _write(self, until: int, *, lasting: bool) -> None:
        self._journal(
            StandstillEvent(
                part=self._part,
                how=cast("How", self._how),
                since_ns=self._since_ns,
                until_ns=until,
                lasting=lasting,
            )
        )
