"""The steps of a client's transactions, journaled before they are made.

A transaction is recorded before its first operation is, and that its commit or abort is asked for before the broker
hears of it. So whatever kills the process, the file says which operations belong together, and whether their commit can
have happened. A step out of turn raises ``RecordingError``. For one thread.
"""

from __future__ import annotations

from harness.clients.ordinals import RecordingError
from harness.clock import monotonic_ns
from harness.history.record import Journal, Outcome, RecordKind, TransactionStep


class TransactionRecorder:
    """The transactions of one incarnation, one at a time.

    Args:
        journal: Of the incarnation; its ``SendRecorder`` or ``DeliveryRecorder`` records the operations.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._first = -1
        self._end = 0
        self._asked = False

    @property
    def open(self) -> bool:
        """Whether a transaction has begun and is not over."""
        return self._first >= 0

    def begin(self, first: int) -> None:
        """Write that a transaction begins; only then may its first operation be recorded.

        Args:
            first: Ordinal that its first operation will have: the number of sends, or of deliveries, recorded so far.

        Raises:
            RecordingError: The one before is not over, or held this operation.
        """
        if self.open or first < self._end:
            raise RecordingError(f"no transaction may begin at operation {first}: another one holds it, or is open")
        self._first, self._asked = first, False
        self._write(TransactionStep.BEGUN, 0)

    def committing(self, end: int) -> None:
        """Write that the commit is asked for now; call it before the broker can hear of it, once more for each attempt.

        Args:
            end: Ordinal behind its last operation; no operation may be recorded between this and ``ended``.

        Raises:
            RecordingError: No transaction is open, or it holds another number of operations.
        """
        self._ask(TransactionStep.COMMITTING, end)

    def aborting(self, end: int) -> None:
        """Write that the abort is asked for now; else as ``committing``."""
        self._ask(TransactionStep.ABORTING, end)

    def ended(self, outcome: Outcome) -> None:
        """Write what became of the transaction: ``OK`` committed, ``FAIL`` aborted for certain, else ``UNKNOWN``.

        Raises:
            RecordingError: It is over, and neither its commit nor its abort was asked for.
        """
        if self._asked:
            self._write(TransactionStep.ENDED, self._end - self._first, outcome)
        elif outcome is not Outcome.UNKNOWN:
            raise RecordingError("a transaction cannot be over before its commit or abort was asked for")
        # Else it was broken off before its end was asked for, and holds what was recorded until the next one begins.
        self._first = -1

    def _ask(self, step: TransactionStep, end: int) -> None:
        if not self.open or end < self._first or (self._asked and end != self._end):
            raise RecordingError(f"no transaction that ends at operation {end} is open")
        self._end, self._asked = end, True
        self._write(step, end - self._first)

    def _write(self, step: TransactionStep, count: int, outcome: Outcome = Outcome.NONE) -> None:
        kind = RecordKind.TRANSACTION
        self._journal.add(kind, t=monotonic_ns(), outcome=outcome, count=count, key=step, ref=self._first)
        self._journal.flush()
