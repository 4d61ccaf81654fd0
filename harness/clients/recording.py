"""The rules of journaling, once for every client: what must be on disk before what may happen.

A send is recorded before its first attempt, and once when it is settled. A delivery is recorded before its handler
begins, and its handler's end before it is acknowledged or its position committed, unless the client acknowledges first
on purpose. So whatever kills the process, the file says what was true by then.

The rules hold by tickets: an ordinal is handed out only once its record is written, and every later step needs it. A
step out of turn raises ``RecordingError``. Knows no broker, no client library and no event loop; times are monotonic
ns, stamped here.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.clients.batches import Batch, OpenBatches, Records, deliveries, positions
from harness.clients.ordinals import Ordinals, OrdinalStep, RecordingError
from harness.clock import monotonic_ns
from harness.history.record import Flag, Journal, Outcome, RecordKind, alike

__all__ = ["Batch", "DeliveryRecorder", "RecordingError", "Records", "SendRecorder", "deliveries", "positions"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

_OPEN: Final = 1
_SETTLED: Final = 2

_SETTLE: Final = OrdinalStep("settled", forbids=_SETTLED, adds=_SETTLED)

_DELIVERED: Final = 1
_PROCESSED: Final = 2
_ASKED: Final = 4
_ACKNOWLEDGED: Final = 8
_RETURNED: Final = 16
_FAILED: Final = 32

_ENDED: Final = _PROCESSED | _FAILED | _RETURNED
_PROCESS: Final = OrdinalStep("processed", forbids=_ENDED, adds=_PROCESSED)
_FAIL: Final = OrdinalStep("failed", forbids=_ENDED, adds=_FAILED)
_GIVE_BACK: Final = OrdinalStep("given back", forbids=_ENDED, adds=_RETURNED)
_ASK: Final = OrdinalStep("acknowledged", needs=_PROCESSED, forbids=_ASKED | _RETURNED, adds=_ASKED)
_ASK_EARLY: Final = OrdinalStep("acknowledged", forbids=_ASKED | _RETURNED, adds=_ASKED)
_REPORT: Final = OrdinalStep("reported as acknowledged", needs=_ASKED, forbids=_ACKNOWLEDGED, adds=_ACKNOWLEDGED)

_BEGUN_MAX: Final = 4096
"""Commits of one partition that are begun and have no outcome yet; the oldest are forgotten first, as automatic commits
pass over most of them.
"""

_THREAD_MAX: Final = 255
"""Highest number of a thread that a record holds; all later threads have it, too."""

_DUPLICATE: Final = int(Flag.DUPLICATE)
_CONFIRMED: Final = int(Flag.CONFIRMED)


class SendRecorder:
    """The sends of one producer incarnation; for one thread.

    Args:
        journal: Of the incarnation; nothing else may record sends in it.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._state = Ordinals(_OPEN, frozenset({_OPEN | _SETTLED}))
        self._added: list[tuple[int, int, int]] = []
        self._delays: dict[int, int] = {}

    @property
    def recorded(self) -> int:
        """Number of sends that are on disk."""
        return self._state.end

    def add(self, key: int, seq: int, partition: int, *, delay_ns: int = 0) -> None:
        """Note one send; it is recorded, and has an ordinal, only once ``record`` returned.

        Args:
            key: Of the message.
            seq: Of the message.
            partition: Where it goes.
            delay_ns: The broker is to hold it back for this long. It is due so long after its record, which is
                no later than when the broker is to deliver it.
        """
        if delay_ns:
            self._delays[len(self._added)] = delay_ns
        self._added.append((key, seq, partition))

    def record(self) -> int:
        """Write what was added; return the ordinal of the first, the others follow in order. Now they
        may be attempted.
        """
        added = self._added
        if added:
            self._added, delays, self._delays = [], self._delays, {}
            now = monotonic_ns()
            if delays:
                for place, row in enumerate(added):
                    if place in delays:
                        self._journal.send_later(now, *row, now + delays[place])
                    else:
                        self._journal.sends(now, [row])
            else:
                self._journal.sends(now, added)
        self._journal.flush()
        return self._state.extend(len(added))

    def record_all(self, keys: NDArray[np.int64], seqs: NDArray[np.int64], partitions: NDArray[np.int64]) -> int:
        """Write many sends at once; return the ordinal of the first. Now they may be attempted."""
        records = alike(len(keys), RecordKind.SEND, t=monotonic_ns())
        records["key"], records["seq"], records["partition"] = keys, seqs, partitions
        self._journal.extend(records)
        self._journal.flush()
        return self._state.extend(len(keys))

    def settle(self, ordinal: int, outcome: Outcome, *, offset: int = -1, duplicate: bool = False) -> None:
        """Note the outcome of one send, which reaches the file with the next write.

        Raises:
            RecordingError: It was not recorded, or is settled already.
        """
        self._state.advance(_SETTLE, ordinal)
        self._journal.sent(monotonic_ns(), outcome, _DUPLICATE if duplicate else 0, offset, ordinal)

    def settle_all(
        self, ordinals: Sequence[int], outcome: Outcome, offsets: Sequence[int | None] | None = None
    ) -> None:
        """Note one outcome of many sends, with their offsets where they are known; raises as ``settle``."""
        refs = np.array(ordinals, np.int64)
        self._state.advance_each(_SETTLE, refs)
        records = alike(refs.size, RecordKind.SENT, t=monotonic_ns(), outcome=outcome)
        records["ref"] = refs
        if offsets is not None:
            records["offset"] = offsets
        self._journal.extend(records)

    def flush(self) -> None:
        """Write what is settled."""
        self._journal.flush()


class DeliveryRecorder:
    """The deliveries of one consumer incarnation, and what becomes of them.

    Args:
        journal: Of the incarnation; nothing else may record in it.
        acknowledged: Each delivery is acknowledged by itself, not by positions or not at all.
        early: The client acknowledges or commits before the handler, or although it failed, on purpose.
        shared: Any thread may call; without, one alone, which spares a lock for each step.
        threads: Record of each delivery which thread handles it: the one that calls ``deliver``.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        acknowledged: bool = False,
        early: bool = False,
        shared: bool = True,
        threads: bool = False,
    ) -> None:
        self._journal = journal
        self._early = early
        self._ask = _ASK_EARLY if early else _ASK
        self._threads: dict[int, int] | None = {} if threads else None
        over = frozenset(value for value in range(256) if _is_over(value, acknowledged=acknowledged, early=early))
        self._state = Ordinals(_DELIVERED, over)
        self._open = OpenBatches()
        self._begun: dict[int, OrderedDict[int, int]] = {}
        if shared:
            lock = threading.RLock()
            for name in [name for name in vars(DeliveryRecorder) if not name.startswith("_")]:
                setattr(self, name, _guarded(getattr(self, name), lock))

    def deliver(self, records: Records) -> Batch:
        """Write a batch that ``deliveries`` made, stamped with now; only then may its first handler begin."""
        records["t"] = monotonic_ns()
        records["outcome"] = self._thread()
        self._journal.extend(records)
        self._journal.flush()
        batch = Batch(first=self._state.extend(records.size), size=records.size, positions=positions(records))
        self._open.add(batch, records)
        return batch

    def deliver_each(
        self, rows: Sequence[tuple[int, int, int, int, int, int]], intact: Sequence[bool] | None = None
    ) -> int:
        """Write single deliveries; only then may the first handler begin. Positions are not known of them.

        Args:
            rows: (key, seq, partition, offset, delivery attempt or 0, the broker's own number or -1) of each. The
                offset is -1 where the client hears another place than the message's own (that of a retry).
            intact: Whether the body of each was the one that was sent; None = bodies are not verified.

        Returns:
            Ordinal of the first; the others follow in order.
        """
        self._journal.deliveries(monotonic_ns(), rows, self._thread(), intact)
        self._journal.flush()
        return self._state.extend(len(rows))

    def processed(self, first: int, count: int) -> None:
        """Write that the handlers of a range of deliveries have ended.

        Raises:
            RecordingError: One of them was not delivered, was processed before or was given back.
        """
        self._state.advance(_PROCESS, first, count)
        self._journal.processed(monotonic_ns(), first, count)
        self._journal.flush()
        self._open.close(first, count)

    def failed(self, first: int, count: int) -> None:
        """Write that the handlers of a range of deliveries have ended without success; no position may be committed
        behind them. Raises as ``processed``.
        """
        self._state.advance(_FAIL, first, count)
        self._journal.processed(monotonic_ns(), first, count, Outcome.FAIL)
        self._journal.flush()
        for ordinal in range(first, first + count):
            self._open.give_back(ordinal)

    def take_back(self, batch: Batch, positions: Mapping[int, int]) -> None:
        """Write that nothing came of a batch's handlers, because the transaction that they worked in was aborted.

        Args:
            batch: As delivered; its handlers have ended.
            positions: Partition → offset from which its messages are read again; until they were, no position may be
                committed behind it.
        """
        self._journal.processed(monotonic_ns(), batch.first, batch.size, Outcome.FAIL)
        self._journal.flush()
        self._open.rewind(positions)

    def give_back(self, ordinal: int) -> None:
        """Note that a delivery's handler never begins, because its partition was taken away; raises as
        ``processed``.
        """
        self._state.advance(_GIVE_BACK, ordinal)
        self._open.give_back(ordinal)

    def acknowledge(self, first: int, count: int) -> None:
        """Ask whether a range may be acknowledged now; call it before the broker hears of it.

        Raises:
            RecordingError: One of them is not processed yet (with ``early``: not delivered), or was acknowledged
                before.
        """
        self._state.advance(self._ask, first, count)

    def acknowledged(self, first: int, count: int, outcome: Outcome, *, confirmed: bool) -> None:
        """Note what became of an acknowledgement; it reaches the file with the next write, as nothing rests on it
        before.

        Raises:
            RecordingError: ``acknowledge`` was not asked, or this was noted before.
        """
        self._state.advance(_REPORT, first, count)
        self._journal.acked(monotonic_ns(), outcome, _CONFIRMED if confirmed else 0, first, count)

    def begin_commit(self, wanted: Mapping[int, int]) -> None:
        """Write that these positions (partition → next offset) may be committed from now on; call it before they can
        be.

        A process that is killed before ``end_commit`` so leaves no commit unrecorded.

        Raises:
            RecordingError: Something below a position is not processed yet, or nothing was delivered below it (never
                with ``early``).
        """
        if not self._early:
            for partition, position in wanted.items():
                self._open.require_over(partition, position)
        now = monotonic_ns()
        for partition, position in wanted.items():
            begun = self._begun.setdefault(partition, OrderedDict())
            begun[position] = now
            begun.move_to_end(position)
            if len(begun) > _BEGUN_MAX:
                begun.popitem(last=False)
            self._journal.commit(now, now, partition, position, Outcome.UNKNOWN, 0)
        self._journal.flush()

    def end_commit(self, partition: int, position: int, outcome: Outcome) -> None:
        """Note what became of a commit, also of one that the library made by itself; written by the next ``flush``.

        Of a commit whose beginning is not known any more, the record says none.
        """
        begun = self._begun.get(partition, OrderedDict()).pop(position, -1)
        flags = _CONFIRMED if outcome is Outcome.OK else 0
        self._journal.commit(monotonic_ns(), begun, partition, position, outcome, flags)

    def polled(self, count: int, longest_ns: int) -> None:
        """Write that there were ``count`` polls since the last call, at most ``longest_ns`` apart."""
        self._journal.poll(monotonic_ns(), count, longest_ns)
        self._journal.flush()

    def flush(self) -> None:
        """Write what is noted."""
        self._journal.flush()

    def _thread(self) -> int:
        """Return the number of the calling thread, from 1 in order of appearance; 0 where threads are not recorded."""
        if self._threads is None:
            return 0
        return min(self._threads.setdefault(threading.get_ident(), len(self._threads) + 1), _THREAD_MAX)


def _is_over(flags: int, *, acknowledged: bool, early: bool) -> bool:
    """Return whether nothing is asked any more of a delivery with these flags."""
    if flags & _RETURNED or (flags & _FAILED and not early):
        return True
    return bool(flags & (_PROCESSED | _FAILED)) and (not acknowledged or bool(flags & _ACKNOWLEDGED))


def _guarded(step: Callable[_P, _T], lock: threading.RLock) -> Callable[_P, _T]:
    """Return a step that only one thread at a time can make."""

    @functools.wraps(step)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with lock:
            return step(*args, **kwargs)

    return guarded
