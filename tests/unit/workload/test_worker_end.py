"""A worker has finished only if all that it did is on record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.clients.base import Counters
from harness.history.record import Journal, JournalError, RecordKind
from harness.workload.worker import _closed, _end


@pytest.mark.parametrize(("full", "flushed"), [(False, False), (True, False), (True, True)])
def test_a_worker_whose_last_flush_fails_has_not_finished(
    full: bool, flushed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full when it ends, or was so at a write before, which its client has passed over."""
    said: list[str] = []
    journal = Journal(tmp_path / "p0.1.journal", {"worker": "p0", "incarnation": 1, "role": "producer"})
    if full:
        device = os.open("/dev/full", os.O_WRONLY)
        os.dup2(device, journal._fd)
        os.close(device)
    journal.add(RecordKind.SEND, t=1, key=0, seq=0, partition=0)
    if flushed:
        with pytest.raises(JournalError):
            journal.flush()
    code = _end(_closed(journal), Counters(), lambda what, **_: said.append(what))
    assert said == ([] if full else ["finished"])
    assert (code == 0) is not full
    assert ("p0.1.journal" in capsys.readouterr().err) is full
