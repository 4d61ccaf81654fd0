"""The engine records how the journal of an incarnation was when it died without closing it."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from harness.engine.deaths import Deaths
from harness.history.event_form import from_json
from harness.history.events import DeathEvent
from harness.history.manifest import FileSum, inspect, sum_of, write_manifest
from harness.history.record import HEADER_BYTES, RECORD, EventLog, Journal, JournalError, RecordKind

_WRITER = """
import sys, pathlib, time
from harness.history.record import Journal, RecordKind
journal = Journal(pathlib.Path(sys.argv[1]), {"worker": "p0", "incarnation": 1, "role": "producer"})
journal.add(RecordKind.SEND, t=1, key=0, seq=0, partition=0)
journal.flush()
print("written", flush=True)
time.sleep(600)
"""


def _journal(path: Path, records: int = 3) -> Journal:
    journal = Journal(path, {"worker": "p0", "incarnation": 1, "role": "producer"})
    for n in range(records):
        journal.add(RecordKind.SEND, t=n, key=0, seq=n, partition=0)
    journal.flush()
    return journal


def _events(folder: Path) -> list[DeathEvent]:
    lines = (folder / "engine.events.jsonl").read_bytes().splitlines()
    found = [from_json(json.loads(line)) for line in lines]
    return [event for event in found if isinstance(event, DeathEvent)]


def test_a_process_that_was_killed_is_recorded_as_it_was_then(tmp_path: Path) -> None:
    path = tmp_path / "p0.1.journal"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    log = EventLog(tmp_path / "engine.events.jsonl", "engine")
    deaths = Deaths(tmp_path, log)
    deaths.record("p0", 1)
    deaths.record("p0", 1)  # heard of twice
    deaths.record("p1", 1)  # died before it began a journal
    deaths.sweep()
    log.close()
    (event,) = _events(tmp_path)
    content = path.read_bytes()
    assert (event.worker, event.incarnation) == ("p0", 1)
    assert (event.journal_bytes, event.checksum) == (HEADER_BYTES + RECORD.size, zlib.crc32(content))


def test_at_the_end_every_journal_without_an_end_is_recorded(tmp_path: Path) -> None:
    _journal(tmp_path / "p0.1.journal").close()
    left = _journal(tmp_path / "p0.2.journal")
    (tmp_path / "c0.1.journal").write_bytes(b"BC")  # died in its header
    log = EventLog(tmp_path / "engine.events.jsonl", "engine")
    Deaths(tmp_path, log).sweep()
    log.close()
    assert [(event.worker, event.incarnation, event.journal_bytes) for event in _events(tmp_path)] == [
        ("c0", 1, 2),
        ("p0", 2, HEADER_BYTES + 3 * RECORD.size),
    ]
    left.close()


def test_the_end_of_a_journal_says_what_lies_before_it(tmp_path: Path) -> None:
    path = tmp_path / "p0.1.journal"
    journal = _journal(path)
    assert sum_of(path).end is None
    journal.close()
    journal.close()  # closing again does nothing
    content = path.read_bytes()
    kind, _, _, checksum, t, _, _, count, *_ = RECORD.unpack(content[-RECORD.size :])
    assert (kind, checksum, count) == (RecordKind.END, zlib.crc32(content[: -RECORD.size]), 3)
    assert t > 0
    assert sum_of(path) == FileSum(size=len(content), checksum=zlib.crc32(content), end=True)


@pytest.mark.parametrize("at", [0, 30, HEADER_BYTES, HEADER_BYTES + 100, -RECORD.size + 4, -RECORD.size + 30])
def test_a_change_anywhere_does_not_fit_the_end(tmp_path: Path, at: int) -> None:
    path = tmp_path / "p0.1.journal"
    _journal(path).close()
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)
    assert sum_of(path).end is False


def test_a_record_taken_out_does_not_fit_the_end(tmp_path: Path) -> None:
    path = tmp_path / "p0.1.journal"
    _journal(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:HEADER_BYTES] + content[HEADER_BYTES + RECORD.size :])
    assert sum_of(path).end is False


def test_what_a_killed_writer_left_half_is_no_end(tmp_path: Path) -> None:
    """Its last 48 bytes may look like one, which is not where a record begins."""
    path = tmp_path / "p0.1.journal"
    _journal(path).close()
    content = path.read_bytes()
    path.write_bytes(content[: -RECORD.size] + bytes(7) + content[-RECORD.size :])
    assert sum_of(path).end is None


def test_a_manifest_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text("{}", encoding="utf-8")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_manifest(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["facts.json"]
    write_manifest(tmp_path)
    assert inspect(tmp_path).sealed
    assert not inspect(tmp_path).damage


def test_nothing_follows_a_write_that_failed(tmp_path: Path) -> None:
    """What was written half is the last of it: a record behind it could not be read."""
    path = tmp_path / "p0.1.journal"
    journal = _journal(path)
    size = path.stat().st_size
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 7, hard))
    try:
        journal.add(RecordKind.SEND, t=9, key=0, seq=9, partition=0)
        with pytest.raises(JournalError, match="short write"):
            journal.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    journal.close()
    assert path.stat().st_size == size + 7
    journal.add(RecordKind.SEND, t=9, key=0, seq=9, partition=0)
    with pytest.raises(JournalError, match="closed"):
        journal.flush()


def test_what_other_threads_flush_never_follows_the_end(tmp_path: Path) -> None:
    path = tmp_path / "p0.1.journal"
    journal = _journal(path)
    begun = threading.Event()

    def write() -> None:
        for n in range(100_000):
            journal.add(RecordKind.SEND, t=n, key=0, seq=n, partition=0)
            try:
                journal.flush()
            except JournalError:
                return
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    journal.close()
    thread.join()
    assert sum_of(path).end is True
