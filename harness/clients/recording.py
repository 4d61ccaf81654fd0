"""The rules of journaling, once for every client: what must be on disk before what may happen.

A send is recorded before its first attempt, and once when it is settled. A delivery is recorded before its handler
begins, and its handler's end before it is acknowledged or its position committed, unless the client acknowledges first
on purpose. So whatever kills the process, the file says what was true by then.

The rules hold by tickets: an ordinal is handed out only once its record is written, and every later step needs it. A
step out of turn raises ``RecordingError``. Knows no broker, no client library and no event loop; times are monotonic
ns, stamped here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.clients.ordinals import Ordinals, RecordingError
from harness.clock import monotonic_ns
from harness.history.record import RECORD_DTYPE, Flag, Journal, Outcome, RecordKind

__all__ = ["Batch", "DeliveryRecorder", "RecordingError", "Records", "SendRecorder", "deliveries", "positions"]

Records = NDArray[np.void]
"""Of ``RECORD_DTYPE``."""

_OPEN: Final = 1
_SETTLED: Final = 2

_DELIVERED: Final = 1
_PROCESSED: Final = 2
_ASKED: Final = 4
_ACKNOWLEDGED: Final = 8
_RETURNED: Final = 16

_DUPLICATE: Final = int(Flag.DUPLICATE)
_REDELIVERED: Final = int(Flag.REDELIVERED)
_CONFIRMED: Final = int(Flag.CONFIRMED)


class SendRecorder:
    """The sends of one producer incarnation; for one thread.

    Args:
        journal: Of the incarnation; nothing else may record sends in it.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._state = Ordinals(_OPEN, frozenset({_OPEN | _SETTLED}))
        self._added = 0

    @property
    def recorded(self) -> int:
        """Number of sends that are on disk."""
        return self._state.end

    def add(self, key: int, seq: int, partition: int) -> None:
        """Note one send; it is recorded, and has an ordinal, only once ``record`` returned."""
        self._journal.send(monotonic_ns(), key, seq, partition)
        self._added += 1

    def record(self) -> int:
        """Write what was added; return the ordinal of the first, the others follow in order. Now they
        may be attempted.
        """
        self._journal.flush()
        added, self._added = self._added, 0
        return self._state.extend(added)

    def record_all(self, keys: NDArray[np.int64], seqs: NDArray[np.int64], partitions: NDArray[np.int64]) -> int:
        """Write many sends at once; return the ordinal of the first. Now they may be attempted."""
        records = np.zeros(len(keys), RECORD_DTYPE)
        records["kind"], records["count"], records["t"] = RecordKind.SEND, 1, monotonic_ns()
        records["key"], records["seq"], records["partition"] = keys, seqs, partitions
        records["offset"] = records["ref"] = -1
        self._journal.extend(records)
        self._added += len(records)
        return self.record()

    def settle(self, ordinal: int, outcome: Outcome, *, offset: int = -1, duplicate: bool = False) -> None:
        """Note the outcome of one send, which reaches the file with the next write.

        Raises:
            RecordingError: It was not recorded, or is settled already.
        """
        self._state.advance(ordinal, 1, forbids=_SETTLED, adds=_SETTLED, step="settled")
        self._journal.sent(monotonic_ns(), outcome, _DUPLICATE if duplicate else 0, offset, ordinal)

    def settle_all(
        self, ordinals: Sequence[int], outcome: Outcome, offsets: Sequence[int | None] | None = None
    ) -> None:
        """Note one outcome of many sends, with their offsets where they are known; raises as ``settle``."""
        refs = np.array(ordinals, np.int64)
        self._state.advance_each(refs, forbids=_SETTLED, adds=_SETTLED, step="settled")
        records = np.zeros(refs.size, RECORD_DTYPE)
        records["kind"], records["count"], records["t"] = RecordKind.SENT, 1, monotonic_ns()
        records["outcome"], records["ref"] = outcome, refs
        records["key"] = records["partition"] = records["seq"] = -1
        records["offset"] = -1 if offsets is None else offsets
        self._journal.extend(records)

    def flush(self) -> None:
        """Write what is settled."""
        self._journal.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Deliveries that are recorded.

    Attributes:
        first: Ordinal of the first one; the others follow in order.
        size: How many.
        positions: Partition → the offset behind the last of them.
    """

    first: int
    size: int
    positions: Mapping[int, int]


@dataclass(slots=True)
class _Open:
    """A batch some of which is not processed yet."""

    first: int
    records: Records
    left: int


class DeliveryRecorder:
    """The deliveries of one consumer incarnation, and what becomes of them; any thread may call.

    Args:
        journal: Of the incarnation; nothing else may record in it.
        acknowledged: Each delivery is acknowledged by itself, not by positions or not at all.
        early: The client acknowledges or commits before the handler, on purpose.
    """

    def __init__(self, journal: Journal, *, acknowledged: bool = False, early: bool = False) -> None:
        self._journal = journal
        self._lock = threading.RLock()
        self._early = early
        ends = _PROCESSED | _ACKNOWLEDGED if acknowledged else _PROCESSED
        over = frozenset(value for value in range(256) if value & _RETURNED or value & ends == ends)
        self._state = Ordinals(_DELIVERED, over)
        self._open: list[_Open] = []
        self._ends: dict[int, int] = {}
        self._begun: dict[tuple[int, int], int] = {}

    def deliver(self, records: Records) -> Batch:
        """Write a batch that ``deliveries`` made, stamped with now; only then may its first handler begin."""
        records["t"] = monotonic_ns()
        with self._lock:
            self._journal.extend(records)
            self._journal.flush()
            batch = Batch(first=self._state.extend(records.size), size=records.size, positions=positions(records))
            if records.size:
                self._open.append(_Open(batch.first, records, records.size))
                self._ends.update(batch.positions)
            return batch

    def deliver_each(self, rows: Sequence[tuple[int, int, int, int, int, int]]) -> int:
        """Write single deliveries; only then may the first handler begin. Positions are not known of them.

        Args:
            rows: (key, seq, partition, offset, delivery attempt or 0, the broker's own number or -1) of each.

        Returns:
            Ordinal of the first; the others follow in order.
        """
        delivered, now = self._journal.delivered, monotonic_ns()
        with self._lock:
            for key, seq, partition, offset, attempt, ref in rows:
                delivered(now, _REDELIVERED if attempt > 1 else 0, attempt, key, partition, seq, offset, ref)
            self._journal.flush()
            return self._state.extend(len(rows))

    def processed(self, first: int, count: int) -> None:
        """Write that the handlers of a range of deliveries have ended.

        Raises:
            RecordingError: One of them was not delivered, was processed before or was given back.
        """
        with self._lock:
            self._state.advance(first, count, forbids=_PROCESSED | _RETURNED, adds=_PROCESSED, step="processed")
            now = monotonic_ns()
            self._journal.add(RecordKind.PROCESSED, t=now, outcome=Outcome.OK, count=count, ref=first)
            self._journal.flush()
            self._close(first, count)

    def give_back(self, ordinal: int) -> None:
        """Note that a delivery's handler never begins, because its partition was taken away; raises as
        ``processed``.
        """
        with self._lock:
            self._state.advance(ordinal, 1, forbids=_PROCESSED | _RETURNED, adds=_RETURNED, step="given back")
            for batch in self._open:
                if 0 <= (row := ordinal - batch.first) < batch.records.size:
                    partition, offset = int(batch.records["partition"][row]), int(batch.records["offset"][row])
                    self._ends[partition] = min(offset, self._ends.get(partition, offset))
            self._close(ordinal, 1)

    def acknowledge(self, first: int, count: int) -> None:
        """Ask whether a range may be acknowledged now; call it before the broker hears of it.

        Raises:
            RecordingError: One of them is not processed yet (with ``early``: not delivered), or was acknowledged
                before.
        """
        needs = 0 if self._early else _PROCESSED
        with self._lock:
            self._state.advance(first, count, needs=needs, forbids=_ASKED | _RETURNED, adds=_ASKED, step="acknowledged")

    def acknowledged(self, first: int, count: int, outcome: Outcome, *, confirmed: bool) -> None:
        """Note what became of an acknowledgement; it reaches the file with the next write, as nothing rests on it
        before.

        Raises:
            RecordingError: ``acknowledge`` was not asked, or this was noted before.
        """
        with self._lock:
            self._state.advance(
                first, count, needs=_ASKED, forbids=_ACKNOWLEDGED, adds=_ACKNOWLEDGED, step="reported as acknowledged"
            )
            flags, now = _CONFIRMED if confirmed else 0, monotonic_ns()
            self._journal.add(RecordKind.ACKED, t=now, outcome=outcome, flags=flags, count=count, ref=first)

    def begin_commit(self, wanted: Mapping[int, int]) -> None:
        """Write that these positions (partition → next offset) may be committed from now on; call it before they can
        be.

        A process that is killed before ``end_commit`` so leaves no commit unrecorded.

        Raises:
            RecordingError: Something below a position is not processed yet, or nothing was delivered below it (never
                with ``early``).
        """
        with self._lock:
            if not self._early:
                for partition, position in wanted.items():
                    self._require_processed(partition, position)
            now = monotonic_ns()
            for partition, position in wanted.items():
                self._begun[partition, position] = now
                self._journal.commit(now, now, partition, position, Outcome.UNKNOWN, 0)
            self._journal.flush()

    def end_commit(self, partition: int, position: int, outcome: Outcome) -> None:
        """Note what became of a commit, also of one that the library made by itself; written by the next ``flush``."""
        with self._lock:
            begun = self._begun.pop((partition, position), -1)
            flags = _CONFIRMED if outcome is Outcome.OK else 0
            self._journal.commit(monotonic_ns(), begun, partition, position, outcome, flags)

    def polled(self, count: int, longest_ns: int) -> None:
        """Write that there were ``count`` polls since the last call, at most ``longest_ns`` apart."""
        with self._lock:
            self._journal.poll(monotonic_ns(), count, longest_ns)
            self._journal.flush()

    def flush(self) -> None:
        """Write what is noted."""
        with self._lock:
            self._journal.flush()

    def _close(self, first: int, count: int) -> None:
        """Count a range out of the open batches that it overlaps."""
        for batch in self._open:
            batch.left -= max(0, min(first + count, batch.first + batch.records.size) - max(first, batch.first))
        self._open = [batch for batch in self._open if batch.left]

    def _require_processed(self, partition: int, position: int) -> None:
        if position > self._ends.get(partition, -1):
            raise RecordingError(f"position {position} of partition {partition} is behind all that was delivered")
        for batch in self._open:
            below = (batch.records["partition"] == partition) & (batch.records["offset"] < position)
            waiting = self._state.of(batch.first, batch.records.size) & (_PROCESSED | _RETURNED) == 0
            if (below & waiting).any():
                offset = int(batch.records["offset"][below & waiting][0])
                raise RecordingError(
                    f"position {position} of partition {partition} is not to be committed: offset {offset} is not "
                    "processed"
                )


def deliveries(
    keys: NDArray[np.int64], seqs: NDArray[np.int64], partitions: Sequence[int | None], offsets: Sequence[int | None]
) -> Records:
    """Return a batch of deliveries for ``DeliveryRecorder.deliver``; no attempt is known of them."""
    records = np.zeros(len(keys), RECORD_DTYPE)
    records["kind"], records["ref"] = RecordKind.DELIVERED, -1
    records["key"], records["seq"] = keys, seqs
    records["partition"], records["offset"] = partitions, offsets
    return records


def positions(records: Records) -> dict[int, int]:
    """Return partition → the offset behind the last of these deliveries."""
    partitions = records["partition"]
    last = {index: int(np.flatnonzero(partitions == index)[-1]) for index in set(partitions.tolist())}
    return {index: int(records["offset"][row]) + 1 for index, row in last.items()}
