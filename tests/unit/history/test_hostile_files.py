"""What is read of a run directory is bounded by what lies there, and a special file is refused by its name."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from harness.engine.rundir import RunDir
from harness.errors import HarnessError, UnfitEnvironmentError
from harness.history.facts import PARTITIONS_MAX, Facts
from harness.history.manifest import MANIFEST
from harness.history.read import History, HistoryError
from harness.history.record import HEADER_BYTES, RECORD, RecordKind
from harness.regular import read_regular
from harness.session.check_again import check_again

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded" / "leader-kill"
PARTITION_AT = 20
REF_AT = 40


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    copied = tmp_path / "run"
    shutil.copytree(RECORDED, copied)
    return copied


@pytest.mark.parametrize("partition", [PARTITIONS_MAX, 2**31 - 1, -2, -(2**31)])
def test_a_partition_that_no_run_has_is_refused_with_its_record(partition: int, run_dir: Path) -> None:
    """One flipped bit of it asked for gigabytes: checks take room for each partition."""
    path = min(run_dir.glob("history/p*.journal"))
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, HEADER_BYTES + 3 * RECORD.size + PARTITION_AT, partition)
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=rf"{path.stem}: record 3 of \d+ names partition {partition}"):
        History.load(run_dir)


@pytest.mark.parametrize("name", ["plan.json", "run.json", "scenario.yaml", "facts.json", "history/x.1.journal"])
def test_a_named_pipe_is_refused_by_its_name(name: str, run_dir: Path) -> None:
    (run_dir / MANIFEST).unlink(missing_ok=True)
    (run_dir / name).unlink(missing_ok=True)
    os.mkfifo(run_dir / name)
    try:
        said = check_again(run_dir).result.error
    except HarnessError as error:
        said = str(error)
    assert "named pipe" in said
    assert Path(name).name in said


def test_a_result_that_is_a_pipe_differs(run_dir: Path) -> None:
    (run_dir / "result.json").unlink()
    os.mkfifo(run_dir / "result.json")
    again = check_again(run_dir)
    assert again.verdict_differs
    assert "named pipe" in again.differing[0]


@pytest.mark.parametrize("name", ["plan.json", "run.json"])
def test_a_document_that_is_nested_without_end_is_refused_by_its_name(name: str, run_dir: Path) -> None:
    (run_dir / name).write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UnfitEnvironmentError, match=name):
        RunDir(run_dir).read_json(name)


def test_no_more_room_is_made_than_a_file_takes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_regular(path, 2**50) == b"four"
    with pytest.raises(OSError, match="more than 3 bytes"):
        read_regular(path, 3)
    assert read_regular(Path("/proc/self/stat")).startswith(str(os.getpid()).encode())


def test_facts_are_read_from_a_regular_file_alone(tmp_path: Path) -> None:
    (tmp_path / "facts.json").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="a device"):
        Facts.load(tmp_path / "facts.json")


@pytest.mark.parametrize("ref", [2**63 - 1, 2**62, -(2**63), -1])
def test_a_completion_of_an_operation_that_was_not_recorded_is_refused_with_its_journal(
    ref: int, run_dir: Path
) -> None:
    """At the bounds of its type, where the first operation and the count of them add up to a small number again."""
    path = min(run_dir.glob("history/p*.journal"))
    content = bytearray(path.read_bytes())
    places = range(HEADER_BYTES, len(content) - RECORD.size, RECORD.size)
    sent = next(place for place in places if content[place] == RecordKind.SENT)
    struct.pack_into("<q", content, sent + REF_AT, ref)
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=rf"{path.stem}: a SENT record refers to operations beyond the \d+ recorded"):
        assert History.load(run_dir).index
