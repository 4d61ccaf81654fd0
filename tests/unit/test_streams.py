"""A reader that leaves changes no exit code and ends nothing; a stream that was closed does not become a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANY = """
import sys
from harness.streams import outlive_readers
outlive_readers()
for stream in (sys.stdout, sys.stderr):
    for _ in range(2000):
        print("a line that is as long as lines of a run are", file=stream)
    stream.flush()
open(sys.argv[1], "w").write("the end was reached")
sys.exit(6)
"""
RECORDED = Path(__file__).parents[1] / "corpus" / "recorded"


def test_a_closed_pipe_ends_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", MANY, tmp_path / "end"], stdout=writer, stderr=writer, timeout=120, check=False
    )
    os.close(writer)
    assert done.returncode == 6
    assert (tmp_path / "end").read_text(encoding="utf-8") == "the end was reached"


def test_streams_that_were_closed_go_nowhere(tmp_path: Path) -> None:
    """Else the first file that is opened gets the number of stderr, and messages are written into it."""
    command = [sys.executable, "-c", MANY, str(tmp_path / "end")]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=120, check=False, close_fds=True
    )
    assert done.returncode == 6
    assert (tmp_path / "end").read_text(encoding="utf-8") == "the end was reached"


@pytest.mark.parametrize(
    "words", [["validate", "scenarios/gate"], ["checks"], ["check", str(RECORDED / "leader-kill")]]
)
def test_no_command_says_other_than_its_own_code_into_a_closed_pipe(words: list[str]) -> None:
    program = Path(sys.executable).parent / "harness"
    root = Path(__file__).parents[2]
    expected = subprocess.run([program, *words], cwd=root, capture_output=True, check=False).returncode
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([program, *words], cwd=root, stdout=writer, stderr=writer, timeout=300, check=False)
    os.close(writer)
    assert done.returncode == expected
