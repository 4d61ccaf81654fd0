"""All reports land in the run directory, and can be read back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import report_samples as samples

from harness.errors import UnfitEnvironmentError
from harness.report.atomic import write_atomic
from harness.report.files import write_all
from harness.report.serialize import from_json


def test_all_files_are_written(tmp_path: Path) -> None:
    write_all(samples.hostile(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.html", "result.json"]
    assert from_json((tmp_path / "result.json").read_text(encoding="utf-8")) == samples.hostile()
    assert ET.parse(tmp_path / "junit.xml").getroot().tag == "testsuites"
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_missing_directory_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UnfitEnvironmentError, match=r"cannot write .*result\.json: No such file or directory"):
        write_all(samples.passing(), tmp_path / "missing")


def test_a_failed_write_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_atomic(path, "before")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.report.atomic.os.fsync", full)
    with pytest.raises(UnfitEnvironmentError, match="No space left on device"):
        write_atomic(path, "after")
    assert path.read_text(encoding="utf-8") == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]
