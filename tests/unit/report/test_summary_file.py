"""Our part of a file of summaries is replaced in its place, and nothing of others is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UnfitEnvironmentError
from harness.report.summary_file import SummaryFile


def test_our_part_is_replaced_and_what_stood_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# another step\n", encoding="utf-8")
    file = SummaryFile(path)
    assert path.read_text(encoding="utf-8") == "# another step\n", "opened, and nothing written"
    file.write("one run, a long text", last=False)
    file.write("both", last=False)
    file.write("all of them")
    assert path.read_text(encoding="utf-8") == "# another step\nall of them\n"


def test_what_others_append_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    file = SummaryFile(path)
    assert not path.exists()
    file.write("one", last=False)
    with path.open("a", encoding="utf-8") as other:
        other.write("another\n")
    file.write("two", last=False)
    file.write("three")
    assert path.read_text(encoding="utf-8") == "one\nanother\nthree\n"


def test_a_file_that_was_removed_or_cut_meanwhile_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    file = SummaryFile(path)
    file.write("one", last=False)
    path.unlink()
    file.write("two", last=False)
    assert path.read_text(encoding="utf-8") == "two\n"
    path.write_bytes(b"")
    file.write("three")
    assert path.read_text(encoding="utf-8") == "three\n"


def test_a_pipe_takes_the_last_text_alone(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UnfitEnvironmentError, match=r"cannot write the summary to .*pipe: No such device or address"):
        SummaryFile(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = SummaryFile(path)
    file.write("one", last=False)
    file.write("two")
    assert os.read(reader, 100) == b"two\n"
    os.close(reader)


@pytest.mark.parametrize("name", [".", "missing/summary.md"])
def test_what_cannot_be_written_is_refused_before_anything_is_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match=r"(?s)cannot write the summary to .*GITHUB_STEP_SUMMARY") as caught:
        SummaryFile(tmp_path / name)
    assert caught.value.exit_code == 7


def test_an_error_while_writing_names_the_file(tmp_path: Path) -> None:
    file = SummaryFile(tmp_path / "summary.md")
    (tmp_path / "summary.md").mkdir()
    with pytest.raises(UnfitEnvironmentError, match="cannot write the summary to"):
        file.write("one")
