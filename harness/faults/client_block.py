"""client_block: the handler of consumers does not end while the fault lasts; the process, and what else it runs, goes
on.

A handler in the poll loop thus keeps its consumer from polling, while the client library's own threads still send
heartbeats. It acts on the message in the handler, or on the next one: without messages there is no handler to hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.clients.base import Counters, WorkerStats
from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind, FaultWorker
from harness.faults.kit import evidence
from harness.faults.kit.handlers import of_reference_consumers
from harness.faults.kit.lifetime import HealingFault
from harness.scenario.plugins import FaultSpec
from harness.units import format_ns

_STILL_NS = NS_PER_S
_FRESH_NS = 3 * NS_PER_S
_SPARE_NS = 60 * NS_PER_S
"""Should the harness die before it lifts it, a block ends by itself so long after the fault's end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBlockOptions:
    """client_block has no options."""


class ClientBlock(HealingFault[ClientBlockOptions]):
    """The handlers of the target consumers are held."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._last: dict[str, Evidence] = {}
        self._held: dict[str, int] = {}

    async def start(self) -> None:
        """Hold them."""
        length = self.context.planned.until_ns - self.context.planned.at_ns + _SPARE_NS
        for name in self.context.targets:
            self._held[name] = max((report.counters.held for report in self.context.workers[name].reports), default=0)
            self.context.workers[name].block_handler(length)

    async def stop(self) -> None:
        """Let them end."""
        for name in self.context.targets:
            self.context.workers[name].block_handler(0)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the worker's counters stop, with a message in hand whose handler waits by order, while its
        process runs and reports. What a machine is too slow to do stops counters, too; it makes no handler wait.
        """
        for name in self.context.targets:
            if not self.span.healed_ns:
                self._last[name] = self._judge_block(name)
        return tuple(self._last.values())

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether the counters grow again."""
        return tuple(self._judge_end(name) for name in self.context.targets)

    def _judge_block(self, name: str) -> Evidence:
        worker, now = self.context.workers[name], self.context.now_ns()
        reports = [report for report in worker.reports if report.t >= self.span.applied_ns]
        state = worker.state()
        still_ns = _unchanged_ns(worker, reports)
        fresh = bool(reports) and now - reports[-1].t < _FRESH_NS
        in_hand = _in_hand(worker, reports[-1].counters) if reports else 0
        waits = bool(reports) and reports[-1].counters.held > self._held.get(name, 0)
        what = "polls and processed messages" if worker.holds_loop else "processed messages"
        counts = f" ({_format_counters(reports[-1].counters)})" if reports else ""
        return evidence.sentence(
            "effect",
            name,
            "the worker's counters",
            still_ns >= _STILL_NS and fresh and in_hand > 0 and waits and state not in {"", "T", "Z"},
            f"{what} unchanged for {format_ns(still_ns)}{counts}, {in_hand} in hand, "
            f"{'a handler waits' if waits else 'no handler waits'}; process state {state or 'none'}, "
            f"{'reports' if fresh else 'does not report'}",
            f"{what} unchanged for at least {format_ns(_STILL_NS)} with a message in hand, a handler waits by order, "
            "and the process runs and reports",
        )

    def _judge_end(self, name: str) -> Evidence:
        worker = self.context.workers[name]
        before = [report for report in worker.reports if report.t < self.span.healed_ns][-1:]
        after = [report for report in worker.reports if report.t >= self.span.healed_ns][-1:]
        moved = bool(before and after) and all(
            new > old for old, new in zip(_counts(worker, before[0]), _counts(worker, after[0]), strict=True)
        )
        shown = (
            " → ".join(_format_counters(report.counters) for report in (*before, *after))
            or "the worker has not reported"
        )
        required = "polls and processed messages grow" if worker.holds_loop else "processed messages grow"
        return evidence.sentence("healing", name, "the worker's counters", moved, shown, required)


def _counts(worker: FaultWorker, report: WorkerStats) -> tuple[int, ...]:
    """Return the counters that a held handler keeps from growing."""
    counters = report.counters
    return (counters.polls, counters.processed) if worker.holds_loop else (counters.processed,)


def _in_hand(worker: FaultWorker, counters: Counters) -> int:
    """Return how many messages its present incarnation was given and has neither processed nor returned."""
    return counters.delivered - counters.processed - worker.abandoned


def _unchanged_ns(worker: FaultWorker, reports: list[WorkerStats]) -> int:
    """Return for how long the last reports have all said the same."""
    if not reports:
        return 0
    since = reports[-1].t
    for report in reversed(reports):
        if _counts(worker, report) != _counts(worker, reports[-1]):
            break
        since = report.t
    return reports[-1].t - since


def _format_counters(counters: Counters) -> str:
    return f"{counters.polls} polls, {counters.processed} processed"


FAULTS.register("client_block")(
    FaultKind(
        name="client_block",
        summary="Block the handler of consumers; the rest of the process continues.",
        spec=FaultSpec(
            options=ClientBlockOptions,
            acts_on="consumer",
            validate=of_reference_consumers,
            holds_handler=True,
            proof_ns=lambda _: _STILL_NS,
        ),
        make=ClientBlock,
        describe=lambda _: "handler blocked",
    )
)
