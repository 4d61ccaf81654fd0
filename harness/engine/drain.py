"""The drain: producers settle what is in flight, then consumers must reach the end of the log, as the broker itself
reports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from harness.brokers.base import Admin, BoundBroker, PartitionState
from harness.engine.parts import RunWorker
from harness.errors import ControlError
from harness.history.events import DrainEvent, GoneEvent
from harness.history.record import EventLog

_POLL_S = 0.1
_GONE_S = 3.0
"""How long the broker must say, without another answer, that something does not exist.

A cluster that has just come back may not know all of it yet."""
_WHOLE_LOG = -1
_QUIET_S = 0.6
"""How long consumers must have been quiet: two of their reports (every 0.25 s) without a change, and some."""


class Drain:
    """The drain of one run.

    Args:
        bound: The broker, for its limits.
        admin: Of the cluster.
        workers: All workers of the run.
        events: Of the run.
    """

    def __init__(self, bound: BoundBroker, admin: Admin, workers: Mapping[str, RunWorker], events: EventLog) -> None:
        self._bound = bound
        self._admin = admin
        self._producers = [worker for worker in workers.values() if worker.spec.role == "producer"]
        self._consumers = [worker for worker in workers.values() if worker.spec.role == "consumer"]
        self._events = events

    async def settle_producers(self) -> list[str]:
        """Stop sending and wait until every producer has settled its last message; return the problems of those that
        did not.
        """
        for producer in self._producers:
            producer.send_command("stop_sending")
        timeout = self._bound.settle_ns / 1e9
        return await _wait_finished(self._producers, timeout)

    async def consumers_catch_up(self) -> str:
        """Wait until the broker says that everything was consumed; journal its word, partition by partition.

        Returns:
            Why the drain is not proven, or an empty string. What does not exist any more has nothing to drain: that the
            broker says so is journaled, and is a finding.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._bound.plan.workload.drain_ns / 1e9
        states: list[PartitionState] | None = []
        gone, since = frozenset[int](), loop.time()
        trouble = "the broker was not asked"
        while True:
            try:
                states = await self._admin.partitions()
                trouble = ""
            except ControlError as error:
                trouble = error.message
            now_gone = frozenset[int]() if trouble else _gone(states)
            if now_gone != gone:
                gone, since = now_gone, loop.time()
            believed = bool(gone) and loop.time() - since >= _GONE_S
            if believed and states is None:
                await self._quiet(deadline)
                self._journal_gone(gone)
                return ""
            left = [state for state in states or [] if not state.consumer_gone]
            if not trouble and states and all(state.drained for state in left) and (believed or not gone):
                if await self._quiet(deadline):
                    self._journal(left)
                    self._journal_gone(gone)
                    return ""
                trouble = "consumers are still busy"
            if loop.time() >= deadline:
                break
            await asyncio.sleep(_POLL_S)
        self._journal(left)
        if believed:
            self._journal_gone(gone)
        said = (
            f"something was gone for less than {_GONE_S:g} s" if gone else "the broker did not answer for any partition"
        )
        return trouble or _behind(left) or said

    async def stop_consumers(self) -> list[str]:
        """Let consumers finish what they hold and leave; return the problems of those that did not."""
        for consumer in self._consumers:
            consumer.send_command("stop")
        timeout = self._bound.leave_ns / 1e9
        return await _wait_finished(self._consumers, timeout)

    async def _quiet(self, deadline: float) -> bool:
        """Wait until no consumer has taken or finished anything for ``_QUIET_S``; False when the deadline passed."""
        loop = asyncio.get_running_loop()
        since, last = loop.time(), self._progress()
        while loop.time() - since < _QUIET_S:
            if loop.time() > deadline + _QUIET_S:
                return False
            await asyncio.sleep(0.05)
            if (now := self._progress()) != last:
                since, last = loop.time(), now
        return all(delivered == processed for delivered, processed in last)

    def _progress(self) -> list[tuple[int, int]]:
        # An incarnation that was killed never finishes what it held: only those that run count.
        return [
            (consumer.counters.delivered - consumer.abandoned, consumer.counters.processed)
            for consumer in self._consumers
            if consumer.pid
        ]

    def _journal(self, states: list[PartitionState]) -> None:
        for state in states:
            self._events.write(
                DrainEvent(
                    partition=state.partition,
                    end_offset=state.end_offset,
                    consumed_offset=state.consumed_offset,
                    pending=state.pending,
                    ack_pending=state.ack_pending,
                    proven=state.drained,
                )
            )

    def _journal_gone(self, partitions: frozenset[int]) -> None:
        for partition in sorted(partitions):
            what: Literal["log", "consumer"] = "log" if partition == _WHOLE_LOG else "consumer"
            detail = f"the broker said so for {_GONE_S:g} s and longer"
            self._events.write(GoneEvent(what=what, partition=partition, detail=detail))


def _gone(states: list[PartitionState] | None) -> frozenset[int]:
    """Return the partitions whose durable consumer does not exist; that of the whole log when it does not."""
    if states is None:
        return frozenset({_WHOLE_LOG})
    return frozenset(state.partition for state in states if state.consumer_gone)


def _behind(states: Sequence[PartitionState]) -> str:
    """Return how far consumers are behind in the first few partitions."""
    return "; ".join(
        f"partition {state.partition}: {state.pending} undelivered, {state.ack_pending} unacknowledged"
        for state in [state for state in states if not state.drained][:4]
    )


async def _wait_finished(workers: Sequence[RunWorker], timeout_s: float) -> list[str]:
    """Wait until workers have finished; return a sentence for each that did not.

    What it held is no finding: it was cut off by us, or broke down as it ended.
    """
    finished = await asyncio.gather(*(worker.finish(timeout_s) for worker in workers))
    return [
        f"worker {worker.name} did not finish its messages (exit status {worker.returncode})"
        for worker, ended in zip(workers, finished, strict=True)
        if not ended
    ]
