"""client_slow: the handler of consumers takes so much longer for every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.clients.base import WorkerStats
from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.handlers import of_reference_consumers
from harness.faults.kit.lifetime import HealingFault
from harness.scenario.plugins import FaultSpec
from harness.units import Duration, format_ns

_PROBE = "the worker's counters"
_MESSAGES_MIN = 3
_REPORTS = 20
_SETTLE_NS = 300 * NS_PER_MS
"""A report may be as old as the pause between two (250 ms): those that come so long after an order speak of what is
since.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSlowOptions:
    """Options of client_slow.

    Attributes:
        extra_ns: Added to the time that the handler takes for each message.
    """

    extra_ns: Duration = field(metadata={"minimum": NS_PER_MS})


class ClientSlow(HealingFault[ClientSlowOptions]):
    """The handlers of the target consumers are slowed."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._first: dict[str, WorkerStats] = {}
        self._last: dict[str, WorkerStats] = {}

    async def start(self) -> None:
        """Slow them."""
        for name in self.context.targets:
            self.context.workers[name].slow_handler(self.options.extra_ns)

    async def stop(self) -> None:
        """Let them take the time they take by themselves."""
        for name in self.context.targets:
            self.context.workers[name].slow_handler(0)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether handlers waited for what was asked for, by what the workers measured of it.

        A machine that slows down makes handlers take longer, too; no worker counts that as waiting.
        """
        return tuple(self._judge_slowness(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether handlers no longer wait."""
        found = []
        for name in self.context.targets:
            since = self.span.healed_ns + _SETTLE_NS
            later = [report for report in self.context.workers[name].reports if report.t >= since][-_REPORTS:]
            after = _mean(later, _MESSAGES_MIN)
            limit = self.options.extra_ns // 2
            found.append(
                evidence.sentence(
                    "healing",
                    name,
                    _PROBE,
                    after is not None and after.slowed_ns <= limit,
                    f"after: {_format_mean(after)}",
                    f"handlers wait for at most {format_ns(limit)} of it, over at least {_MESSAGES_MIN} messages",
                )
            )
        return tuple(found)

    def _judge_slowness(self, name: str) -> Evidence:
        if not self.span.healed_ns:
            reports = self.context.workers[name].reports
            during = [report for report in reports if report.t >= self.span.applied_ns + _SETTLE_NS]
            if during:
                self._first.setdefault(name, during[0])
                self._last[name] = during[-1]
        mean = _mean([of[name] for of in (self._first, self._last) if name in of], 1)
        least = self.options.extra_ns * 9 // 10
        return evidence.sentence(
            "effect",
            name,
            _PROBE,
            mean is not None and mean.slowed_ns >= least,
            f"during: {_format_mean(mean)}",
            f"handlers wait for at least {format_ns(least)} more, by order",
        )


class _Mean(NamedTuple):
    """What handlers took for a message, and how long of it they waited by order; ns."""

    handler_ns: int
    slowed_ns: int


def _mean(reports: Sequence[WorkerStats], least: int) -> _Mean | None:
    """Return the means from the first to the last report; None with fewer than ``least`` messages."""
    if not reports:
        return None
    first, last = reports[0].counters, reports[-1].counters
    # A message whose handler takes no time is processed without being counted as handled.
    messages = max(last.handled - first.handled, last.processed - first.processed)
    if messages < least:
        return None
    return _Mean((last.handler_ns - first.handler_ns) // messages, (last.slowed_ns - first.slowed_ns) // messages)


def _format_mean(mean: _Mean | None) -> str:
    if mean is None:
        return "too few messages"
    return f"{format_ns(mean.handler_ns)} for each message, {format_ns(mean.slowed_ns)} of it by order"


FAULTS.register("client_slow")(
    FaultKind(
        name="client_slow",
        summary="Slow the handler of consumers down by a time for every message.",
        spec=FaultSpec(
            options=ClientSlowOptions,
            acts_on="consumer",
            validate=of_reference_consumers,
            proof_ns=lambda options: _SETTLE_NS + options.extra_ns,
        ),
        make=ClientSlow,
        describe=lambda options: f"{format_ns(options.extra_ns)} more for every message",
    )
)
