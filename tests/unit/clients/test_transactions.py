"""The steps of transactions as clients record them, and what the index makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.history_builder import HistoryBuilder

from harness.clients.recording import RecordingError, SendRecorder
from harness.clients.transactions import TransactionRecorder
from harness.history.files import read_journal
from harness.history.read import History, HistoryError
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Journal, Outcome, RecordKind, TransactionStep
from harness.history.transactions import NEVER_NS, NO_TRANSACTION


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "p0.1.journal", {"worker": "p0", "incarnation": 1, "role": "producer"})


def _send(sends: SendRecorder, key: int) -> None:
    sends.add(key, 0, 0)
    sends.record()


def _rows(journal: Journal) -> list[tuple[int, int, int, int]]:
    """Return (step, first, count, outcome) of what is on disk, whether the process lives on or not."""
    records = np.fromfile(journal.path, RECORD_DTYPE, offset=HEADER_BYTES)
    steps = records[records["kind"] == RecordKind.TRANSACTION]
    return [(int(r["key"]), int(r["ref"]), int(r["count"]), int(r["outcome"])) for r in steps]


def test_each_step_is_on_disk_before_what_follows_it(journal: Journal) -> None:
    sends, transactions = SendRecorder(journal), TransactionRecorder(journal)
    transactions.begin(sends.recorded)
    assert _rows(journal) == [(TransactionStep.BEGUN, 0, 0, Outcome.NONE)]
    _send(sends, 0)
    _send(sends, 1)
    transactions.committing(sends.recorded)
    assert _rows(journal)[1:] == [(TransactionStep.COMMITTING, 0, 2, Outcome.NONE)]
    transactions.committing(sends.recorded)
    transactions.aborting(sends.recorded)
    transactions.ended(Outcome.FAIL)
    assert _rows(journal)[2:] == [
        (TransactionStep.COMMITTING, 0, 2, Outcome.NONE),
        (TransactionStep.ABORTING, 0, 2, Outcome.NONE),
        (TransactionStep.ENDED, 0, 2, Outcome.FAIL),
    ]
    assert not transactions.open


def test_steps_out_of_turn_are_refused(journal: Journal) -> None:
    transactions = TransactionRecorder(journal)
    for step in (transactions.committing, transactions.aborting):
        with pytest.raises(RecordingError, match="no transaction that ends at operation 0 is open"):
            step(0)
    transactions.begin(3)
    with pytest.raises(RecordingError, match="or is open"):
        transactions.begin(4)
    with pytest.raises(RecordingError, match="before its commit or abort was asked for"):
        transactions.ended(Outcome.OK)
    with pytest.raises(RecordingError, match="operation 2"):
        transactions.committing(2)
    transactions.committing(5)
    with pytest.raises(RecordingError, match="operation 6"):
        transactions.committing(6)
    transactions.ended(Outcome.OK)
    with pytest.raises(RecordingError, match="at operation 4"):
        transactions.begin(4)
    transactions.begin(5)


def test_one_that_is_broken_off_holds_what_was_recorded_until_the_next(tmp_path: Path, journal: Journal) -> None:
    sends, transactions = SendRecorder(journal), TransactionRecorder(journal)
    _send(sends, 0)
    transactions.begin(sends.recorded)
    _send(sends, 1)
    _send(sends, 2)
    transactions.ended(Outcome.UNKNOWN)
    transactions.begin(sends.recorded)
    _send(sends, 3)
    journal.close()
    view = read_journal(journal.path, [], [])
    assert view is not None
    index = History.of([view], (), HistoryBuilder().facts).index
    assert index.transactions.of_send.tolist() == [NO_TRANSACTION, 0, 0, 1]
    assert index.transactions.commit_asked.tolist() == [NEVER_NS] * 2
    assert index.transactions.outcome.tolist() == [Outcome.UNKNOWN] * 2
    assert index.transactions.last.tolist() == [False, True]


def _index(*lines: str) -> History:
    return HistoryBuilder().lines(lines).history()


def test_transactions_of_several_journals_keep_apart() -> None:
    history = _index(
        *("p1.1 0 send 1/0 p0", "p1.1 1 begin", "p1.1 1 send 1/1 p0", "p1.1 2 commit-asked", "p1.1 3 committed"),
        *("p0.1 0 begin", "p0.1 0 send 0/0 p0", "p0.1 4 abort-asked", "p0.1 5 aborted", "p0.1 6 send 0/1 p0"),
        *("c0.1 7 begin", "c0.1 8 got 1/1 p0 @0", "c0.1 9 commit-asked", "c0.1 9 got 1/0 p0 @2"),
    )
    transactions = history.index.transactions
    names = [history.journals[number].name for number in transactions.journal]
    assert names == ["c0.1", "p0.1", "p1.1"]
    sends = history.index.sends
    held = {
        (key, seq): number
        for key, seq, number in zip(sends.key.tolist(), sends.seq.tolist(), transactions.of_send.tolist(), strict=True)
    }
    assert held == {(0, 0): 1, (0, 1): NO_TRANSACTION, (1, 0): NO_TRANSACTION, (1, 1): 2}
    assert transactions.of_delivery.tolist() == [0, NO_TRANSACTION]
    assert transactions.outcome.tolist() == [Outcome.UNKNOWN, Outcome.FAIL, Outcome.OK]
    assert transactions.aborted.tolist() == [False, True, False]


def test_a_step_without_a_beginning_is_damage() -> None:
    with pytest.raises(HistoryError, match=r"journal p0\.1: .* never began"):
        _ = _index("p0.1 0 send 0/0 p0", "p0.1 1 commit-asked").index


def test_a_history_without_transactions_has_none() -> None:
    transactions = _index("p0.1 0 send 0/0 p0", "c0.1 1 got 0/0 p0 @0").index.transactions
    assert (transactions.t.size, transactions.of_send.tolist(), transactions.of_delivery.tolist()) == (0, [-1], [-1])


def test_operations_that_the_journal_does_not_hold_are_damage() -> None:
    builder = HistoryBuilder().lines(["p0.1 0 begin", "p0.1 1 send 0/0 p0", "p0.1 2 commit-asked"])
    builder.pages["p0.1"].records = builder.pages["p0.1"].records[::2]
    with pytest.raises(HistoryError, match=r"journal p0\.1: .* does not fit the 0 operations"):
        _ = builder.history().index
