"""The files of a history: journals mapped into memory, event files read line by line.

Owns what a crash may leave behind (a torn last record, a torn last line), what it may not, and what is not there
although it was written. Knows the formats of docs/history.md; must never know what a history means.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.history.event_form import from_json
from harness.history.events import Event, WorkerEvent
from harness.history.record import HEADER_BYTES, MAGIC, RECORD_DTYPE, VERSION, RecordKind

EVENTS_SUFFIX: Final = ".events.jsonl"

_WORKERS: Final = frozenset({"producer", "consumer", "monitor"})
"""Roles whose incarnations have an event file next to their journal."""


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


def read_journal(path: Path, notes: list[str], torn_names: list[str]) -> JournalView | None:
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


def require_one_clock(journals: Sequence[JournalView]) -> None:
    """Refuse journals whose monotonic clocks cannot be compared (another boot, another time namespace)."""
    first = journals[0]
    for view in journals[1:]:
        if view.header.get("clock") != first.header.get("clock"):
            raise HistoryError(
                f"journals {first.name} and {view.name} were written under different clocks"
                f" ({first.header.get('clock')} and {view.header.get('clock')}): their times cannot be compared"
            )


def read_events(path: Path, notes: list[str]) -> list[Event]:
    """Read one event file; only its last line may be torn."""
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        notes.append(f"events {path.name}: the last line is torn; dropped")
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(from_json(json.loads(line), path.name.removesuffix(EVENTS_SUFFIX)))
        except ValueError as error:
            raise HistoryError(f"{path.name}:{number}: not an event ({error})") from error
    return events


def missing_files(folder: Path, journals: Iterable[JournalView], events: Iterable[Event]) -> Iterator[str]:
    """Yield a sentence for each file of a worker that is not there although the worker wrote it.

    Args:
        folder: Of the history.
        journals: Those that are there.
        events: Of all writers that are there.
    """
    there = set()
    for view in journals:
        there.add(view.name)
        if view.role in _WORKERS and not (folder / f"{view.name}{EVENTS_SUFFIX}").exists():
            yield f"the events of {view.name} are missing"
    ready = {
        f"{event.worker}.{event.incarnation}"
        for event in events
        if isinstance(event, WorkerEvent) and event.state == "ready"
    }
    for name in sorted(ready - there):
        yield f"the journal of {name} is missing"
