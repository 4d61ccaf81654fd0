"""Histories: every journal and event file of one run, merged and ready to be judged.

Owns what follows from all files together; the files themselves are read next door (files). Must never know a broker, a
fault kind, a check or a scenario.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar, overload

from harness.errors import relative
from harness.history.epochs import Epochs
from harness.history.events import (
    Event,
    FaultEvent,
    GroupEvent,
    LeaderEvent,
    LockEvent,
    OwnershipEvent,
    PhaseEvent,
    ScheduleEvent,
    WorkerEvent,
)
from harness.history.facts import Facts
from harness.history.files import (
    EVENTS_SUFFIX,
    HistoryError,
    JournalView,
    cut_journals,
    missing_files,
    read_events,
    read_journal,
    require_one_clock,
)
from harness.history.index import Index
from harness.history.lock_spans import LockTenure, lock_spans
from harness.history.ownership_spans import OwnershipTenure, ownership_spans, reported_spans
from harness.history.record import RECORD_DTYPE, RecordKind
from harness.history.schedules import Schedule, schedules
from harness.history.spans import (
    FaultWindow,
    LeaderSpan,
    Outage,
    Span,
    fault_windows,
    leader_spans,
    machine_stalls,
    outages,
)

__all__ = ["RECORD_DTYPE", "History", "HistoryError", "JournalView"]

_NO_TIME = -1
"""What a record has for a time that is not known."""

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)
G = TypeVar("G", bound=Event)
H = TypeVar("H", bound=Event)


class History:
    """Everything recorded in one run, immutable.

    Attributes:
        journals: In order of name.
        events: Of all writers, in order of time.
        facts: What the configuration makes true.
        notes: Sentences on what reading had to tolerate (torn records…).
        torn: Names of the journals that end in a torn record, or that lack their end.
        missing: Sentences on what is not there although it was written.
    """

    def __init__(
        self,
        journals: Iterable[JournalView],
        events: Iterable[Event],
        facts: Facts,
        notes: Iterable[str] = (),
        torn: Iterable[str] = (),
        missing: Iterable[str] = (),
    ) -> None:
        self.journals = tuple(sorted(journals, key=lambda view: (view.worker, view.incarnation)))
        self.events = tuple(sorted(events, key=lambda event: event.t))
        self.facts = facts
        self.notes = tuple(notes)
        self.torn = frozenset(torn)
        self.missing = tuple(missing)

    @staticmethod
    def of(
        journals: Iterable[JournalView], events: Iterable[Event], facts: Facts, *, torn: Iterable[str] = ()
    ) -> History:
        """Build a history in memory."""
        return History(journals, events, facts, torn=torn)

    @staticmethod
    def load(run_dir: Path) -> History:
        """Read the history of a run directory.

        Raises:
            HistoryError: When a file is missing or damaged beyond a torn end, or journals of different clocks are
                mixed.
        """
        folder = run_dir / "history"
        if not folder.is_dir():
            raise HistoryError(f"{relative(run_dir)} holds no history", hint="a run directory has a folder 'history'")
        notes: list[str] = []
        torn: list[str] = []
        journals = [
            view for path in sorted(folder.glob("*.journal")) if (view := read_journal(path, notes, torn)) is not None
        ]
        if not journals:
            raise HistoryError(f"{relative(folder)} holds no journal")
        require_one_clock(journals)
        events: list[Event] = []
        for path in sorted(folder.glob(f"*{EVENTS_SUFFIX}")):
            events += read_events(path, notes)
        try:
            facts = Facts.load(run_dir / "facts.json")
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise HistoryError(f"cannot read {relative(run_dir / 'facts.json')}: {error}") from error
        cut = cut_journals(journals, events)
        missing = [
            *missing_files(folder, journals, events),
            *(f"the end of the journal of {name} is missing" for name in cut),
        ]
        return History(journals, events, facts, notes, torn + cut, missing)

    @overload
    def of_kind(self, first: type[E], /) -> tuple[E, ...]: ...
    @overload
    def of_kind(self, first: type[E], second: type[F], /) -> tuple[E | F, ...]: ...
    @overload
    def of_kind(self, first: type[E], second: type[F], third: type[G], /) -> tuple[E | F | G, ...]: ...
    @overload
    def of_kind(
        self, first: type[E], second: type[F], third: type[G], fourth: type[H], /
    ) -> tuple[E | F | G | H, ...]: ...
    def of_kind(self, *kinds: type[Event]) -> tuple[Event, ...]:
        """Return the events of these classes, in order of time."""
        return tuple(event for event in self.events if isinstance(event, kinds))

    @functools.cached_property
    def span(self) -> Span:
        """First and last time at which anything was recorded, monotonic ns."""
        times = [event.t for event in self.events]
        for view in self.journals:
            if view.records.size:
                times += [int(view.records["t"][0]), int(view.records["t"][-1])]
        times = [t for t in times if t != _NO_TIME] or [0]
        return Span(min(times), max(times))

    def window(self, phase: str) -> tuple[int, int] | None:
        """Return (start, end) of a phase, or None when it never began; a phase lasts to the next ``phase`` event."""
        marks = self.of_kind(PhaseEvent)
        for position, mark in enumerate(marks):
            if mark.phase == phase:
                return mark.t, marks[position + 1].t if position + 1 < len(marks) else self.span.end_ns
        return None

    def phases(self) -> tuple[PhaseEvent, ...]:
        """Return the beginnings of the run's phases, in order of time."""
        return self.of_kind(PhaseEvent)

    @functools.cached_property
    def fault_windows(self) -> tuple[FaultWindow, ...]:
        """Every fault that began to be applied, in order of time."""
        return fault_windows(self.of_kind(FaultEvent))

    @functools.cached_property
    def outages(self) -> tuple[Outage, ...]:
        """Per probed target, the intervals in which consecutive round trips failed."""
        return outages(
            (
                (tuple(map(str, view.header.get("targets", ()))), view.select(RecordKind.PROBE))
                for view in self.journals
                if (view.kinds == RecordKind.PROBE).any()
            ),
            self.span.end_ns,
        )

    def leaders(self) -> tuple[LeaderSpan, ...]:
        """Return who led each partition when, as observed; ``leader`` is empty while there was none."""
        return leader_spans(self.of_kind(LeaderEvent), self.facts.partitions, self.span.end_ns)

    def machine_stalls(self) -> tuple[Span, ...]:
        """Return when the whole machine stalled: what the monitor's ticks came late by, where above 50 ms."""
        return machine_stalls(
            view.select(RecordKind.TICK) for view in self.journals if (view.kinds == RecordKind.TICK).any()
        )

    @functools.cached_property
    def schedules(self) -> Mapping[int, Schedule]:
        """By index of a journal: when its producer was to send what, where the producer has said so."""
        return schedules(self.of_kind(ScheduleEvent), self.journals)

    @functools.cached_property
    def ownership_spans(self) -> tuple[OwnershipTenure, ...]:
        """Who owned which partition when, as the consumers saw it, or by the broker's word where they show nothing
        themselves; in order of start.
        """
        if self.facts.by_positions:
            return reported_spans(self.of_kind(GroupEvent, WorkerEvent), self.facts, self.span.end_ns + 1)
        return ownership_spans(self.of_kind(OwnershipEvent, WorkerEvent), self.span.end_ns + 1)

    @functools.cached_property
    def lock_spans(self) -> tuple[LockTenure, ...]:
        """Who held the lock of which partition when, as the broker answered, in order of start."""
        life = self.facts.group.lock_ns if self.facts.group is not None else 0
        return lock_spans(self.of_kind(LockEvent), life, self.span.end_ns + 1)

    @functools.cached_property
    def epochs(self) -> Epochs:
        """The deliveries cut into epochs: one partition, one incarnation, from assignment to revocation or loss."""
        deliveries = self.index.deliveries
        return Epochs(
            deliveries.t,
            deliveries.journal,
            deliveries.partition,
            [(view.worker, view.incarnation) for view in self.journals],
            self.of_kind(OwnershipEvent),
            self.lock_spans,
        )

    def _whole(self) -> list[bool]:
        """Return by journal whether its worker has ended and nothing of it is missing."""
        ended = {(event.worker, event.incarnation) for event in self.of_kind(WorkerEvent) if event.over}
        return [
            # Early histories do not say which incarnation of a worker ended.
            view.name not in self.torn and bool({(view.worker, view.incarnation), (view.worker, 0)} & ended)
            for view in self.journals
        ]

    @functools.cached_property
    def index(self) -> Index:
        """Columns over all journals; raises HistoryError when completions refer to nothing."""
        try:
            return Index.build([(view.name, view.kinds, view.records) for view in self.journals], self._whole())
        except ValueError as error:
            raise HistoryError(str(error)) from error
