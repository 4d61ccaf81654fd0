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
from harness.history.events import AuthorityEvent, DeathEvent, Event, WorkerEvent
from harness.history.facts import PARTITIONS_MAX
from harness.history.record import HEADER_BYTES, MAGIC, RECORD_DTYPE, VERSION, RecordKind
from harness.regular import read_regular, require_regular

EVENTS_SUFFIX: Final = ".events.jsonl"

_EVENT_BYTES_MAX: Final = 2**30

_ENDED_FROM: Final = 2
"""Version of a journal's format from which its writer ends it with an END."""

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
        whole: Its writer closed it, as its END says (which ``records`` leave out); so is one of a format without END.
    """

    name: str
    worker: str
    incarnation: int
    role: str
    header: Mapping[str, Any]
    records: NDArray[np.void]
    kinds: NDArray[np.uint8]
    whole: bool = True

    @staticmethod
    def of(
        name: str,
        role: str,
        records: NDArray[np.void],
        header: Mapping[str, Any] | None = None,
        *,
        may_lack_end: bool = True,
    ) -> JournalView:
        """Return a view over ``records``; worker and incarnation come from ``name`` (``c0.1``).

        Args:
            name: Of the journal.
            role: Of its writer.
            records: May close with an END.
            header: See the class.
            may_lack_end: Whether its format has no END, or it is not from a file.

        Raises:
            HistoryError: When a record is of an unknown kind, follows the END, or the name has no incarnation.
        """
        worker, _, incarnation = name.rpartition(".")
        if not worker or not incarnation.isdigit():
            raise HistoryError(f"journal {name!r} is not named <worker>.<incarnation>")
        kinds = np.ascontiguousarray(records["kind"])
        if kinds.size and (kinds.min() < min(RecordKind) or kinds.max() > max(RecordKind)):
            at = int(np.flatnonzero((kinds < min(RecordKind)) | (kinds > max(RecordKind)))[0])
            raise HistoryError(f"journal {name}: record {at} of {kinds.size} is of unknown kind {int(kinds[at])}")
        ended = bool(kinds.size) and int(kinds[-1]) == RecordKind.END
        if ended:
            records, kinds = records[:-1], kinds[:-1]
        if (kinds == RecordKind.END).any():
            raise HistoryError(f"journal {name}: records follow its end record")
        return JournalView(
            name=name,
            worker=worker,
            incarnation=int(incarnation),
            role=role,
            header=dict(header or {}),
            records=records,
            kinds=kinds,
            whole=ended or may_lack_end,
        )

    def select(self, kind: RecordKind) -> NDArray[np.void]:
        """Return a copy of the records of one kind, in order."""
        chosen: NDArray[np.void] = self.records[self.kinds == kind]
        return chosen


def read_journal(path: Path, notes: list[str], torn_names: list[str]) -> JournalView | None:
    """Map one journal, or return None when its writer died before the header was whole."""
    name = path.name.removesuffix(".journal")
    require_regular(path)  # opening a named pipe would wait for a writer
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not (head[: len(MAGIC)] == MAGIC or MAGIC.startswith(head)):
        raise HistoryError(f"{path.name} is not a journal: it starts with {head[:4]!r}")
    if size < HEADER_BYTES:
        notes.append(f"journal {name}: its writer died before the header was written; it holds no record")
        return None
    (version,) = struct.unpack_from("<I", head, len(MAGIC))
    if not 1 <= version <= VERSION:
        raise HistoryError(f"journal {name} has format version {version}; this harness reads versions 1 to {VERSION}")
    try:
        header = json.loads(head[len(MAGIC) + 4 :])
        role = str(header["role"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
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
    _require_bounded(name, records)
    return JournalView.of(name, role, records, header, may_lack_end=version < _ENDED_FROM)


def _require_bounded(name: str, records: NDArray[np.void]) -> None:
    """Refuse a journal whose places would take more memory than its size accounts for: one flipped bit of a partition
    is enough. Keys and sequences are bounded where they are numbered (columns).
    """
    partition = records["partition"]
    if records.size and not -1 <= int(partition.min()) <= int(partition.max()) < PARTITIONS_MAX:
        at = int(np.flatnonzero((partition < -1) | (partition >= PARTITIONS_MAX))[0])
        raise HistoryError(
            f"journal {name}: record {at} of {records.size} names partition {int(partition[at])}: it is damaged"
        )


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
    *lines, rest = read_regular(path, _EVENT_BYTES_MAX).split(b"\n")
    if rest:
        notes.append(f"events {path.name}: the last line is torn; dropped")
    events: list[Event] = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(from_json(json.loads(line), path.name.removesuffix(EVENTS_SUFFIX)))
        except (ValueError, RecursionError) as error:
            raise HistoryError(f"{path.name}:{number}: not an event ({error})") from error
    return events


def missing_files(folder: Path, journals: Sequence[JournalView], events: Sequence[Event]) -> Iterator[str]:
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
    audited = any(isinstance(event, AuthorityEvent) for event in events)
    if audited and not any(view.role == "audit" for view in journals):
        yield "the journal of the audit is missing"


def cut_journals(journals: Iterable[JournalView], events: Iterable[Event]) -> list[str]:
    """Return the names of the journals that lack their END although no death of their writers is recorded."""
    dead = {f"{event.worker}.{event.incarnation}" for event in events if isinstance(event, DeathEvent)}
    return [view.name for view in journals if not view.whole and view.name not in dead]
