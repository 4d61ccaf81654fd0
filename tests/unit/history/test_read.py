"""Reading run directories: what a crash may leave behind, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.history_builder import HistoryBuilder, facts

from harness.errors import HarnessError
from harness.history.columns import Word, words_of
from harness.history.events import PhaseEvent
from harness.history.read import RECORD_DTYPE, History, HistoryError
from harness.history.record import HEADER_BYTES, RECORD, EventLog, Flag, Journal, Outcome, RecordKind


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Return a run directory as real writers leave it: one producer, one consumer, one event file."""
    (tmp_path / "history").mkdir()
    facts(worker_zones={"c0": "clients"}).save(tmp_path / "facts.json")
    producer = Journal(tmp_path / "history" / "p0.1.journal", {"worker": "p0", "incarnation": 1, "role": "producer"})
    for n in range(4):
        producer.add(RecordKind.SEND, t=100 + n, key=n % 2, seq=n // 2, partition=0)
    producer.add(RecordKind.SENT, t=200, outcome=Outcome.OK, ref=0, count=3, offset=7)
    producer.close()
    consumer = Journal(tmp_path / "history" / "c0.1.journal", {"worker": "c0", "incarnation": 1, "role": "consumer"})
    for n in range(3):
        consumer.add(RecordKind.DELIVERED, t=300, key=n % 2, seq=n // 2, partition=0, offset=7 + n, count=1)
    consumer.flush()
    consumer.add(RecordKind.PROCESSED, t=301, outcome=Outcome.OK, ref=0, count=2)
    consumer.add(RecordKind.ACKED, t=302, outcome=Outcome.OK, ref=0, count=2, flags=Flag.CONFIRMED)
    consumer.close()
    events = EventLog(tmp_path / "history" / "engine.events.jsonl", "engine")
    events.write(PhaseEvent(t=90, phase="faults"))
    events.write(PhaseEvent(t=400, phase="end"))
    events.close()
    return tmp_path


def _journal(run_dir: Path, name: str) -> Path:
    return run_dir / "history" / f"{name}.journal"


def _refused(run_dir: Path) -> str:
    with pytest.raises(HistoryError) as caught:
        _ = History.load(run_dir).index
    assert isinstance(caught.value, HarnessError)
    return caught.value.message


def test_real_files_are_read_whole(run_dir: Path) -> None:
    history = History.load(run_dir)
    assert [(view.name, view.worker, view.incarnation, view.role) for view in history.journals] == [
        ("c0.1", "c0", 1, "consumer"),
        ("p0.1", "p0", 1, "producer"),
    ]
    assert not history.notes
    assert history.facts == facts(worker_zones={"c0": "clients"})
    assert history.window("faults") == (90, 400)
    assert history.window("drain") is None
    sends, deliveries = history.index.sends, history.index.deliveries
    assert sends.outcome.tolist() == [Outcome.OK] * 3 + [Outcome.UNKNOWN]
    assert sends.t_done.tolist() == [200, 200, 200, -1]
    assert sends.offset.tolist() == [7, -1, -1, -1]  # a range tells the offset of its first only
    assert deliveries.t_processed.tolist() == [301, 301, -1]
    assert deliveries.ack_confirmed.tolist() == [True, True, False]
    assert history.index.processed.tolist() == [True, False, True, False]  # key 0: both, key 1: both
    assert [history.journals[index].name for index in deliveries.journal] == ["c0.1"] * 3


def test_words_are_in_step_with_the_record_format() -> None:
    offsets = {name: RECORD_DTYPE.fields[name][1] for name in RECORD_DTYPE.names or ()} if RECORD_DTYPE.fields else {}
    assert RECORD_DTYPE.itemsize == RECORD.size == 8 * len(Word)
    assert {name: at // 8 for name, at in offsets.items()} == {
        "kind": Word.HEAD,
        "outcome": Word.HEAD,
        "flags": Word.HEAD,
        "count": Word.HEAD,
        "t": Word.T,
        "key": Word.PLACE,
        "partition": Word.PLACE,
        "seq": Word.SEQ,
        "offset": Word.OFFSET,
        "ref": Word.REF,
    }
    assert (offsets["outcome"], offsets["flags"], offsets["count"], offsets["key"] % 8) == (1, 2, 4, 0)
    view = HistoryBuilder().lines(["p0.1 1 send 3/4 p2"]).view("p0.1")
    assert words_of(view.records)[0, Word.SEQ] == 4


@pytest.mark.parametrize("torn", range(1, RECORD.size, 13))
def test_a_torn_last_record_is_dropped_and_noted(run_dir: Path, torn: int) -> None:
    path = _journal(run_dir, "p0.1")
    os.truncate(path, path.stat().st_size - RECORD.size - torn)  # its END is gone, too
    history = History.load(run_dir)
    assert history.torn == {"p0.1"}
    assert "p0.1" in history.notes[0]
    assert (history.index.sends.outcome == Outcome.UNKNOWN).all()  # the only SENT was torn


def test_an_empty_last_record_is_dropped_and_noted(run_dir: Path) -> None:
    with _journal(run_dir, "p0.1").open("ab") as file:
        file.write(bytes(RECORD.size))
    history = History.load(run_dir)
    assert history.torn == {"p0.1"}
    assert history.index.sends.t.size == 4


@pytest.mark.parametrize("size", [0, 3, 100, HEADER_BYTES - 1])
def test_a_writer_that_died_in_its_header_left_nothing(run_dir: Path, size: int) -> None:
    os.truncate(_journal(run_dir, "p0.1"), size)
    history = History.load(run_dir)
    assert [view.name for view in history.journals] == ["c0.1"]
    assert "before the header" in history.notes[0]


def test_a_journal_without_records_is_read(run_dir: Path) -> None:
    os.truncate(_journal(run_dir, "p0.1"), HEADER_BYTES)
    history = History.load(run_dir)
    assert [view.records.size for view in history.journals] == [5, 0]
    assert (history.index.deliveries.value == -1).all()


def _overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_wrong_magic_is_refused(run_dir: Path) -> None:
    _overwrite(_journal(run_dir, "p0.1"), 0, b"ELF!")
    assert "is not a journal" in _refused(run_dir)


def test_another_version_is_refused(run_dir: Path) -> None:
    _overwrite(_journal(run_dir, "p0.1"), 4, b"\x09\x00\x00\x00")
    assert "format version 9" in _refused(run_dir)


def test_a_damaged_header_is_refused(run_dir: Path) -> None:
    _overwrite(_journal(run_dir, "p0.1"), 8, b"not json")
    assert "header is damaged" in _refused(run_dir)


@pytest.mark.parametrize("kind", [0, 99])
def test_an_unknown_kind_in_the_middle_is_refused(run_dir: Path, kind: int) -> None:
    _overwrite(_journal(run_dir, "p0.1"), HEADER_BYTES + RECORD.size, bytes([kind]))
    assert f"record 1 of 6 is of unknown kind {kind}" in _refused(run_dir)


def test_clocks_of_different_boots_are_refused(run_dir: Path) -> None:
    path = _journal(run_dir, "p0.1")
    header = json.loads(path.read_bytes()[8:HEADER_BYTES])
    header["clock"] = "another boot"
    _overwrite(path, 8, json.dumps(header).encode().ljust(HEADER_BYTES - 8))
    assert "different clocks" in _refused(run_dir)


def test_a_name_without_incarnation_is_refused(run_dir: Path) -> None:
    _journal(run_dir, "p0.1").rename(_journal(run_dir, "p0"))
    assert "<worker>.<incarnation>" in _refused(run_dir)


def test_completions_of_nothing_are_refused(run_dir: Path) -> None:
    _overwrite(_journal(run_dir, "p0.1"), HEADER_BYTES + 4 * RECORD.size + 40, b"\x63")
    assert "SENT record refers to operations beyond the 4 recorded" in _refused(run_dir)


def test_sequences_too_sparse_for_a_table_are_refused(run_dir: Path) -> None:
    _overwrite(_journal(run_dir, "p0.1"), HEADER_BYTES + 24, b"\xff\xff\xff\x7f")
    assert "must be dense" in _refused(run_dir)


def test_a_torn_last_event_is_dropped_and_noted(run_dir: Path) -> None:
    path = run_dir / "history" / "engine.events.jsonl"
    os.truncate(path, path.stat().st_size - 5)
    history = History.load(run_dir)
    assert [event.t for event in history.events] == [90]
    assert "last line is torn" in history.notes[0]


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[]", '{"t": 1}', '{"t": "soon", "kind": "phase", "phase": "up"}', ""),
        '{"t": 1, "kind": "reprieve"}',
        '{"t": 1, "kind": "phase", "phase": "up", "but": "not quite"}',
        '{"t": 1, "version": 2, "source": "engine", "kind": "phase"}',
        '{"t": 1, "version": 4, "source": "engine", "kind": "phase", "phase": "up"}',
    ],
)
def test_a_damaged_event_in_the_middle_is_refused(run_dir: Path, line: str) -> None:
    path = run_dir / "history" / "engine.events.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    assert "engine.events.jsonl:1: not an event" in _refused(run_dir)


def test_missing_parts_are_refused(run_dir: Path) -> None:
    facts_text = (run_dir / "facts.json").read_text()
    (run_dir / "facts.json").write_text("{}")
    assert "facts.json" in _refused(run_dir)
    (run_dir / "facts.json").write_text(facts_text)
    for path in (run_dir / "history").glob("*.journal"):
        path.unlink()
    assert "holds no journal" in _refused(run_dir)
    assert "holds no history" in _refused(run_dir / "history")


_WRITER = """
import sys, pathlib
from harness.history.record import Journal, RecordKind
journal = Journal(pathlib.Path(sys.argv[1]), {"worker": "p9", "incarnation": 1, "role": "producer"})
n = 0
while True:
    for _ in range(7):
        journal.add(RecordKind.SEND, t=n, key=0, seq=n, partition=0)
        n += 1
    journal.flush()
    print(n, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_flushed(run_dir: Path) -> None:
    path = _journal(run_dir, "p9.1")
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().split("\n")[:-1] if line]
    writer.wait()
    writer.stdout.close()
    history = History.load(run_dir)
    (view,) = (view for view in history.journals if view.name == "p9.1")
    assert view.records.size >= told[-1]
    assert view.records["seq"].tolist() == list(range(view.records.size))
