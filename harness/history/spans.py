"""Intervals that a history speaks of: faults, outages, leaders, stalls of the machine.

Owns how points in time (events, probes, ticks) become spans. Knows no files and no checks. All times are monotonic ns;
spans are half-open: they include ``start_ns`` and exclude ``end_ns``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.history.events import FaultEvent, LeaderEvent
from harness.history.record import Break, Outcome

TICK_NS: Final = 100_000_000
"""Period of the monitor's ticks."""

MACHINE_STALL_FLOOR_NS: Final = 50_000_000
"""A tick later than this is a stall of the machine; below it is ordinary scheduling."""


_AT_ONCE_NS: Final = 300_000_000
"""A round trip of a link that is not held up any more, on a busy machine too; one with a fault's delay on it takes
longer.
"""

_UNSEEN_NS: Final = 1_000_000_000
"""The monitor asks each target several times a second; what lies between two questions further apart was not seen."""

_CARRIED_NS: Final = 10_000_000_000
"""An outage that no further question confirmed is not taken to last longer."""


class Span(NamedTuple):
    """A half-open interval of monotonic nanoseconds."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """When and where one fault was in force, and what it does.

    Attributes:
        start_ns: When it began to be applied.
        end_ns: When it was healed; None when it never was.
        targets, nodes, workers: As resolved when applied.
        takes_node_down, silences, holds_handler, joins, departures: See ``FaultEvent``.
    """

    id: str
    start_ns: int
    end_ns: int | None
    targets: tuple[str, ...]
    nodes: tuple[str, ...]
    workers: tuple[str, ...]
    takes_node_down: bool
    silences: bool
    holds_handler: bool
    joins: bool
    departures: int

    @property
    def only_changes_membership(self) -> bool:
        """Whether its workers come or leave on purpose, and are well while they run: nothing else is done to them."""
        return (self.joins or self.departures > 0) and not (self.silences or self.holds_handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A target (link or node) did not answer: from the start of the first failed round trip to the next good answer.

    Where the target was not asked again meanwhile, it ends 10 s after the last failed round trip at the latest.

    Attributes:
        target: Link or node.
        start_ns: Inclusive.
        end_ns: Exclusive.
        lone: One round trip alone failed, and the next answer came at once: by itself nothing that a client would
            have to notice. (What goes on longer holds up the next round trip, too.)
        cut: A connection ended, or was refused.
    """

    target: str
    start_ns: int
    end_ns: int
    lone: bool = False
    cut: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSpan:
    """``leader`` led ``partition``; an empty name means that it had none."""

    partition: int
    leader: str
    start_ns: int
    end_ns: int


def fault_windows(events: Iterable[FaultEvent]) -> tuple[FaultWindow, ...]:
    """Return one window per fault that began to be applied; events in order of time."""
    by_fault: dict[str, list[FaultEvent]] = {}
    for event in events:
        by_fault.setdefault(event.fault, []).append(event)
    found = []
    for fault, known in by_fault.items():
        begun = [event.t for event in known if event.action == "apply"]
        healed = [event.t for event in known if event.action == "healed"]
        if begun:
            found.append(
                FaultWindow(
                    id=fault,
                    start_ns=begun[0],
                    end_ns=healed[-1] if healed else None,
                    targets=tuple(dict.fromkeys(name for event in known for name in event.targets)),
                    nodes=tuple(dict.fromkeys(name for event in known for name in event.nodes)),
                    workers=tuple(dict.fromkeys(name for event in known for name in event.workers)),
                    takes_node_down=known[0].takes_node_down,
                    silences=known[0].silences,
                    holds_handler=known[0].holds_handler,
                    joins=known[0].joins,
                    departures=known[0].departures,
                )
            )
    return tuple(sorted(found, key=lambda window: window.start_ns))


def outages(probes: Iterable[tuple[tuple[str, ...], NDArray[np.void]]], last_ns: int) -> tuple[Outage, ...]:
    """Return the outages in (target names, PROBE records) of each monitor journal, in order of start.

    Args:
        probes: Per journal; a record's ``partition`` is an index into the names.
        last_ns: End of an outage after which no probe succeeded.
    """
    answers: dict[str, list[tuple[int, int, Break]]] = {}
    for names, records in probes:
        for record in records:
            index = int(record["partition"])
            target = names[index] if 0 <= index < len(names) else f"target {index}"
            good = int(record["outcome"]) == Outcome.OK
            entry = (int(record["t"]), int(record["seq"]), Break.NONE if good else _break(int(record["count"])))
            answers.setdefault(target, []).append(entry)
    found = []
    for target, rows in answers.items():
        failed: list[Break] = []
        down = last = 0
        for answered, begun, broken in [*sorted(rows), (last_ns, last_ns, Break.NONE)]:
            if failed and begun - last > _CARRIED_NS:
                found.append(_outage(target, failed, down, last + _CARRIED_NS))
                failed = []
            if broken:
                down = down if failed else begun
                failed.append(broken)
                last = answered
            elif failed:
                alone = len(failed) == 1 and begun - last <= _UNSEEN_NS and answered - begun <= _AT_ONCE_NS
                ended = begun < last_ns
                found.append(_outage(target, failed, down, max(answered, down), lone=alone and ended))
                failed = []
    return tuple(sorted(found, key=lambda outage: (outage.start_ns, outage.target)))


def _outage(target: str, failed: list[Break], start_ns: int, end_ns: int, *, lone: bool = False) -> Outage:
    cut = any(broken is not Break.SILENT for broken in failed)
    return Outage(target=target, start_ns=start_ns, end_ns=end_ns, lone=lone, cut=cut)


def _break(count: int) -> Break:
    """Return how a probe failed; some other count is of a journal that did not say, which is not taken for silence."""
    return Break(count) if 0 < count <= max(Break) else Break.CUT


def leader_spans(events: Iterable[LeaderEvent], partitions: int, last_ns: int) -> tuple[LeaderSpan, ...]:
    """Return the spans between observations, in order of start."""
    current: dict[int, tuple[str, int]] = {}
    found = []
    for event in events:
        t, leader = event.t, event.leader
        for index in range(partitions) if event.partition < 0 else (event.partition,):
            known = current.get(index)
            if known is not None and known[0] == leader:
                continue
            if known is not None:
                found.append(LeaderSpan(partition=index, leader=known[0], start_ns=known[1], end_ns=t))
            current[index] = (leader, t)
    found += [
        LeaderSpan(partition=index, leader=leader, start_ns=since, end_ns=max(last_ns, since))
        for index, (leader, since) in current.items()
    ]
    return tuple(sorted(found, key=lambda span: (span.start_ns, span.partition)))


def machine_stalls(ticks: Iterable[NDArray[np.void]]) -> tuple[Span, ...]:
    """Return the excess of every late tick over its period as a span that ends with the tick."""
    found = []
    for records in ticks:
        excess = records["offset"] - TICK_NS
        for row in np.flatnonzero(excess > MACHINE_STALL_FLOOR_NS):
            end = int(records["t"][row])
            found.append(Span(end - int(excess[row]), end))
    return tuple(sorted(found))
