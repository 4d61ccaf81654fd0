"""Which fault interferes with which node or link, and when; so that each fault is judged by what it does itself.

One for all faults of a run. Owns the spans and nothing else: what follows from them is for each kind's evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Interfering:
    """One fault that acts on one node or link.

    Attributes:
        fault: Its id.
        target: The node or link.
        begin_ns: Monotonic.
        end_ns: Monotonic; None while it lasts.
        down: The target is a node, and serves no one meanwhile.
    """

    fault: str
    target: str
    begin_ns: int
    end_ns: int | None = None
    down: bool = False

    def overlaps(self, since_ns: int, until_ns: int) -> bool:
        """Return whether it acted at any time from ``since_ns`` to ``until_ns``."""
        return self.begin_ns <= until_ns and (self.end_ns is None or since_ns <= self.end_ns)

    def covers(self, since_ns: int, until_ns: int) -> bool:
        """Return whether it acted all the time from ``since_ns`` to ``until_ns``."""
        return self.begin_ns <= since_ns and (self.end_ns is None or until_ns <= self.end_ns)


class Interference:
    """The spans of all faults of a run, by node and link."""

    def __init__(self) -> None:
        self._spans: list[Interfering] = []

    def begin(self, fault: str, targets: Iterable[str], now_ns: int, *, down: bool = False) -> None:
        """Note that a fault acts on targets from now on."""
        self._spans += [Interfering(fault=fault, target=name, begin_ns=now_ns, down=down) for name in targets]

    def end(self, fault: str, now_ns: int, target: str = "") -> None:
        """Note that it no longer acts on ``target``, or on any; harmless when it does not."""
        for span in self._spans:
            if span.fault == fault and span.end_ns is None and target in ("", span.target):
                span.end_ns = now_ns

    def by_others(self, fault: str, *targets: str) -> tuple[Interfering, ...]:
        """Return what other faults did to any of the targets, in order of its beginning."""
        return tuple(span for span in self._spans if span.fault != fault and span.target in targets)
