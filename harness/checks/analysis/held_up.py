"""What held a partition up that was neither its owner nor its leader: unacknowledged deliveries, open transactions.

Owns both questions, of the beginning of a pause: until when did consumers hold as many deliveries as may be
unacknowledged, and until when was a transaction open that had begun before? Reads journals alone, so that each is
known for as long as its own records show. Must never judge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.checks.analysis.transactions import knows_of_sends
from harness.history.index import Int64
from harness.history.read import History
from harness.history.record import Outcome
from harness.history.transactions import NEVER_NS, NO_TRANSACTION


class HeldUp(NamedTuple):
    """Until when something held a partition up, and which workers' it was, those with the most first."""

    until_ns: int
    workers: tuple[str, ...]


class PendingDeliveries:
    """Deliveries that wait for their acknowledgement; beyond ``pending_max`` the broker hands out no more."""

    def __init__(self, history: History) -> None:
        self._history = history
        acknowledged = history.facts.settling.acknowledged
        self._most = acknowledged.pending_max if acknowledged is not None else 0
        self._wait_ns = acknowledged.wait_ns if acknowledged is not None else 0
        self._columns: dict[int, tuple[Int64, Int64, Int64, Int64]] = {}

    def held(self, partition: int, start_ns: int) -> HeldUp | None:
        """Return until when so many deliveries of a partition were unacknowledged, from a time on; None when not."""
        if not self._most:
            return None
        if partition not in self._columns:
            self._columns[partition] = self._read(partition)
        begun, until, ends, row = self._columns[partition]
        here = int(np.searchsorted(begun, start_ns, side="right"))
        count = here - int(np.searchsorted(ends, start_ns, side="right"))
        if count < self._most:
            return None
        some = slice(int(np.searchsorted(begun, start_ns - self._wait_ns)), here)
        pending = until[some] > start_ns
        # They become fewer than may be at the end of the so manyth of them.
        over = int(np.sort(until[some][pending])[count - self._most])
        journals = self._history.index.deliveries.journal[row[some][pending]]
        names, counts = np.unique(journals, return_counts=True)
        ordered = names[np.argsort(-counts, kind="stable")].tolist()
        return HeldUp(over, tuple(dict.fromkeys(self._history.journals[name].worker for name in ordered)))

    def _read(self, partition: int) -> tuple[Int64, Int64, Int64, Int64]:
        """Return (when each delivery was made, ascending; until when it was pending; these in order; its row)."""
        index = self._history.index
        deliveries = index.deliveries
        rows = index.delivery_order
        rows = rows[deliveries.partition[rows] == partition]
        until = deliveries.t[rows] + self._wait_ns
        settled = (deliveries.t_acked[rows] >= 0) & (deliveries.ack_outcome[rows] == Outcome.OK)
        until = np.where(settled, np.minimum(until, deliveries.t_acked[rows]), until)
        # What is delivered again is one message still, and pending since then.
        order = np.lexsort((np.arange(rows.size), deliveries.offset[rows], deliveries.value[rows]))
        value, offset = deliveries.value[rows][order], deliveries.offset[rows][order]
        same = (value[1:] == value[:-1]) & (offset[1:] == offset[:-1])
        before, after = order[:-1][same], order[1:][same]
        until[before] = np.minimum(until[before], deliveries.t[rows[after]])
        return deliveries.t[rows], until, np.sort(until, kind="stable"), rows


class OpenTransactions:
    """Transactions that had not ended.

    Consumers of committed messages see nothing behind the first send of one. A worker that reads, processes and writes
    in one reads on after it, and so does the next owner of its positions.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._columns: dict[int, tuple[Int64, Int64, Int64]] = {}

    def held(self, partition: int, start_ns: int) -> HeldUp | None:
        """Return until when a transaction was open that had begun before a time; None when none was."""
        if not self._history.facts.open_transaction_ns:
            return None
        if partition not in self._columns:
            self._columns[partition] = self._read(partition)
        begun, until, journal = self._columns[partition]
        at = int(np.searchsorted(begun, start_ns, side="right")) - 1
        if at < 0 or until[at] <= start_ns:
            return None
        return HeldUp(int(until[at]), (self._history.journals[int(journal[at])].worker,))

    def _read(self, partition: int) -> tuple[Int64, Int64, Int64]:
        """Return (when each began to hold the partition up, ascending; the latest end of it and those before; the
        journal of that one).
        """
        both = zip(self._sent(partition), self._taken(partition), strict=True)
        begun, until, journal = (np.concatenate(columns) for columns in both)
        order = np.argsort(begun, kind="stable")
        begun, until, journal = begun[order], until[order], journal[order]
        latest = np.maximum.accumulate(until)
        reached = np.maximum.accumulate(np.where(until == latest, np.arange(latest.size), 0))
        return begun, latest, journal[reached]

    def _sent(self, partition: int) -> tuple[Int64, Int64, Int64]:
        """Return (beginning, end, journal) of each send in a transaction; of all sends where no journal names any."""
        sends, facts = self._history.index.sends, self._history.facts
        chosen = sends.partition == partition
        if knows_of_sends(self._history) or facts.outputs:
            chosen &= self._history.index.transactions.of_send != NO_TRANSACTION
        rows = np.flatnonzero(chosen) if facts.isolation != "uncommitted" else np.zeros(0, np.int64)
        ended = (sends.t_done[rows] >= 0) & (sends.outcome[rows] != Outcome.UNKNOWN)
        # The broker aborts a transaction that nothing ends.
        until = np.where(ended, sends.t_done[rows], sends.t[rows] + facts.open_transaction_ns)
        return sends.t[rows], until, sends.journal[rows].astype(np.int64)

    def _taken(self, partition: int) -> tuple[Int64, Int64, Int64]:
        """Return (beginning, end, journal) of the transactions in which messages of the partition were read.

        One that nothing ended holds up the next owner only from when its positions were handed in with its commit.
        """
        index = self._history.index
        transactions, deliveries = index.transactions, index.deliveries
        inside = (transactions.of_delivery != NO_TRANSACTION) & (deliveries.partition == partition)
        number = np.unique(transactions.of_delivery[inside])
        ended = (transactions.ended[number] >= 0) & (transactions.outcome[number] != Outcome.UNKNOWN)
        number, ended = number[known := ended | (transactions.commit_asked[number] != NEVER_NS)], ended[known]
        begun = transactions.t[number]
        until = np.where(ended, transactions.ended[number], begun + self._history.facts.open_transaction_ns)
        return begun, until, transactions.journal[number].astype(np.int64)
