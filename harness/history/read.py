"""Histories: every journal and event file of one run, merged and ready to be judged.

Owns what a crash may leave behind (a torn last record, a torn last line) and what it may not. Knows the formats of
docs/history.md; must never know a broker, a fault kind, a check or a scenario.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, relative
from harness.history.epochs import Epochs
from harness.history.event_form import from_json
from harness.history.events import Event, FaultEvent, LeaderEvent, OwnershipEvent, PhaseEvent, WorkerEvent
from harness.history.facts import Facts
from harness.history.index import Index
from harness.history.ownership_spans import OwnershipTenure, ownership_spans
from harness.history.record import HEADER_BYTES, MAGIC, RECORD_DTYPE, VERSION, RecordKind
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

_EVENTS_SUFFIX: Final = ".events.jsonl"

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)
G = TypeVar("G", bound=Event)
H = TypeVar("H", bound=Event)


class HistoryError(HarnessError):
    """A run directory does not hold one readable history: nothing can be judged from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JournalView:
    """One incarnation's journal.

    Attributes:
        name: ``<worker>.<incarnation>``, as findings name it.
        worker, incarnation, role: Who wrote it; incarnations count from 1.
        header: The whole header (``clock``, ``mono_ns``, ``wall_ns``, ``targets``…).
        records: Structured array, read-only and mapped when it comes from a file.
        kinds: The records' ``kind`` column, contiguous.
    """

    name: str
    worker: str
    incarnation: int
    role: str
    header: Mapping[str, Any]
    records: NDArray[np.void]
    kinds: NDArray[np.uint8]

    @staticmethod
    def of(name: str, role: str, records: NDArray[np.void], header: Mapping[str, Any] | None = None) -> JournalView:
        """Return a view over ``records``; worker and incarnation come from ``name`` (``c0.1``).

        Raises:
            HistoryError: When a record is of an unknown kind or the name has no incarnation.
        """
        worker, _, incarnation = name.rpartition(".")
        if not worker or not incarnation.isdigit():
            raise HistoryError(f"journal {name!r} is not named <worker>.<incarnation>")
        kinds = np.ascontiguousarray(records["kind"])
        if kinds.size and (kinds.min() < min(RecordKind) or kinds.max() > max(RecordKind)):
            at = int(np.flatnonzero((kinds < min(RecordKind)) | (kinds > max(RecordKind)))[0])
            raise HistoryError(f"journal {name}: record {at} of {kinds.size} is of unknown kind {int(kinds[at])}")
        return JournalView(
            name=name,
            worker=worker,
            incarnation=int(incarnation),
            role=role,
            header=dict(header or {}),
            records=records,
            kinds=kinds,
        )

    def select(self, kind: RecordKind) -> NDArray[np.void]:
        """Return a copy of the records of one kind, in order."""
        chosen: NDArray[np.void] = self.records[self.kinds == kind]
        return chosen


class History:
    """Everything recorded in one run, immutable.

    Attributes:
        journals: In order of name.
        events: Of all writers, in order of time.
        facts: What the configuration makes true.
        notes: Sentences on what reading had to tolerate (torn records…).
        torn: Names of the journals that end in a torn record.
    """

    def __init__(
        self,
        journals: Iterable[JournalView],
        events: Iterable[Event],
        facts: Facts,
        notes: Iterable[str] = (),
        torn: Iterable[str] = (),
    ) -> None:
        self.journals = tuple(sorted(journals, key=lambda view: (view.worker, view.incarnation)))
        self.events = tuple(sorted(events, key=lambda event: event.t))
        self.facts = facts
        self.notes = tuple(notes)
        self.torn = frozenset(torn)

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
            view for path in sorted(folder.glob("*.journal")) if (view := _read_journal(path, notes, torn)) is not None
        ]
        if not journals:
            raise HistoryError(f"{relative(folder)} holds no journal")
        _require_one_clock(journals)
        events: list[Event] = []
        for path in sorted(folder.glob(f"*{_EVENTS_SUFFIX}")):
            events += _read_events(path, notes)
        try:
            facts = Facts.load(run_dir / "facts.json")
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise HistoryError(f"cannot read {relative(run_dir / 'facts.json')}: {error}") from error
        return History(journals, events, facts, notes, torn)

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
        times = [t for t in times if t >= 0] or [0]
        return Span(min(times), max(times))

    def window(self, phase: str) -> tuple[int, int] | None:
        """Return (start, end) of a phase, or None when it never began; a phase lasts to the next ``phase`` event."""
        marks = self.of_kind(PhaseEvent)
        for position, mark in enumerate(marks):
            if mark.phase == phase:
                return mark.t, marks[position + 1].t if position + 1 < len(marks) else self.span.end_ns
        return None

    def fault_windows(self) -> tuple[FaultWindow, ...]:
        """Return every fault that began to be applied, in order of time."""
        return fault_windows(self.of_kind(FaultEvent))

    def outages(self) -> tuple[Outage, ...]:
        """Return, per probed target, the intervals in which consecutive round trips failed."""
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
    def ownership_spans(self) -> tuple[OwnershipTenure, ...]:
        """Who owned which partition when, as the consumers saw it, in order of start."""
        return ownership_spans(self.of_kind(OwnershipEvent, WorkerEvent), self.span.end_ns + 1)

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
        )

    @functools.cached_property
    def index(self) -> Index:
        """Columns over all journals; raises HistoryError when completions refer to nothing."""
        try:
            return Index.build([(view.name, view.kinds, view.records) for view in self.journals])
        except ValueError as error:
            raise HistoryError(str(error)) from error


def _read_journal(path: Path, notes: list[str], torn_names: list[str]) -> JournalView | None:
    """Map one journal, or return None when its writer died before the header was whole."""
    name = path.name.removesuffix(".journal")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not (head[: len(MAGIC)] == MAGIC or MAGIC.startswith(head)):
        raise HistoryError(f"{path.name} is not a journal: it starts with {head[:4]!r}")
    if size < HEADER_BYTES:
        notes.append(f"journal {name}: its writer died before the header was written; it holds no record")
        return None
    (version,) = struct.unpack_from("<I", head, len(MAGIC))
    if version != VERSION:
        raise HistoryError(f"journal {name} has format version {version}; this harness reads version {VERSION}")
    try:
        header = json.loads(head[len(MAGIC) + 4 :])
        role = str(header["role"])
    except (ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"journal {name}: the header is damaged ({error})") from error
    count, torn = divmod(size - HEADER_BYTES, RECORD_DTYPE.itemsize)
    if torn:
        torn_names.append(name)
        notes.append(f"journal {name}: the last record is torn ({torn} of {RECORD_DTYPE.itemsize} bytes); dropped")
    records: NDArray[np.void] = (
        np.memmap(path, RECORD_DTYPE, mode="r", offset=HEADER_BYTES, shape=(count,))
        if count
        else np.empty(0, RECORD_DTYPE)
    )
    if count and int(records["kind"][-1]) == 0:
        torn_names.append(name)
        notes.append(f"journal {name}: the last record is empty (its write did not finish); dropped")
        records = records[:-1]
    return JournalView.of(name, role, records, header)


def _require_one_clock(journals: Sequence[JournalView]) -> None:
    """Refuse journals whose monotonic clocks cannot be compared (another boot, another time namespace)."""
    first = journals[0]
    for view in journals[1:]:
        if view.header.get("clock") != first.header.get("clock"):
            raise HistoryError(
                f"journals {first.name} and {view.name} were written under different clocks"
                f" ({first.header.get('clock')} and {view.header.get('clock')}): their times cannot be compared"
            )


def _read_events(path: Path, notes: list[str]) -> list[Event]:
    """Read one event file; only its last line may be torn."""
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        notes.append(f"events {path.name}: the last line is torn; dropped")
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(from_json(json.loads(line), path.name.removesuffix(_EVENTS_SUFFIX)))
        except ValueError as error:
            raise HistoryError(f"{path.name}:{number}: not an event ({error})") from error
    return events
