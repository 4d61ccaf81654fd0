"""client_slow: the handler of consumers takes so much longer for every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.clients.base import WorkerStats
from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.scenario.plugins import FaultSpec
from harness.units import Duration, format_ns

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
        self._before: dict[str, int | None] = {}

    async def start(self) -> None:
        """Slow them."""
        for name in self.context.targets:
            worker = self.context.workers[name]
            earlier = [report for report in worker.reports if report.t >= self.span.before[0]]
            self._before[name] = _mean_ns(earlier, _MESSAGES_MIN)
            worker.slow_handler(self.options.extra_ns)

    async def stop(self) -> None:
        """Let them take the time they take by themselves."""
        for name in self.context.targets:
            self.context.workers[name].slow_handler(0)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the handler's mean time, by the worker's counters, has grown by what was asked for."""
        return tuple(self._judge_slowness(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the mean time is as short as before."""
        found = []
        for name in self.context.targets:
            since = self.span.healed_ns + _SETTLE_NS
            before = self._before.get(name)
            # A slow moment of the machine must not count forever.
            later = [report for report in self.context.workers[name].reports if report.t >= since][-_REPORTS:]
            after = _mean_ns(later, _MESSAGES_MIN)
            limit = self.options.extra_ns // 2
            found.append(
                evidence.sentence(
                    "healing",
                    name,
                    "the worker's counters",
                    before is not None and after is not None and after - before <= limit,
                    f"handler before {_format_mean(before)}, after {_format_mean(after)}",
                    f"mean within {format_ns(limit)} of before, over at least {_MESSAGES_MIN} messages",
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
        before = self._before.get(name)
        span = [of[name] for of in (self._first, self._last) if name in of]
        mean = _mean_ns(span, 1)
        least = self.options.extra_ns * 9 // 10
        return evidence.sentence(
            "effect",
            name,
            "the worker's counters",
            before is not None and mean is not None and mean - before >= least,
            f"handler before {_format_mean(before)}, during {_format_mean(mean)}",
            f"mean at least {format_ns(least)} longer than before",
        )


def _mean_ns(reports: Sequence[WorkerStats], least: int) -> int | None:
    """Return the mean time of the handler from the first to the last report; None with fewer than
    ``least`` messages.
    """
    if not reports:
        return None
    first, last = reports[0].counters, reports[-1].counters
    # A message whose handler takes no time is processed without being counted as handled.
    messages = max(last.handled - first.handled, last.processed - first.processed)
    return (last.handler_ns - first.handler_ns) // messages if messages >= least else None


def _format_mean(value_ns: int | None) -> str:
    return "too few messages" if value_ns is None else format_ns(value_ns)


FAULTS.register("client_slow")(
    FaultKind(
        name="client_slow",
        summary="Slow the handler of consumers down by a time for every message.",
        spec=FaultSpec(options=ClientSlowOptions, acts_on="consumer"),
        make=ClientSlow,
        describe=lambda options: f"{format_ns(options.extra_ns)} more for every message",
    )
)
